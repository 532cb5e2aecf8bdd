/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/report.h"

#include <string.h>

typedef struct Result {
        Pair *pair;
        Comparison comparison;
} Result;

static json_t *side_json(const char *path, const BuildId *id) {
        return json_pack("{s:o, s:o}", "path", json_text(path), "build_id", json_build_id(id));
}

static json_t *result_json(const Result *r) {
        const Comparison *c = &r->comparison;
        json_t *j = json_object();

        json_object_set_new(j, "file", json_text(r->pair->file));
        json_object_set_new(j, "old", side_json(r->pair->old_path, &c->old_id));
        json_object_set_new(j, "new", side_json(r->pair->new_path, &c->new_id));
        json_object_set_new(j, "verdict", json_text(outcome_text(c->outcome)));
        json_object_set_new(j, "grade", json_text(layout_grade_text(c->verdict.grade)));
        json_object_set_new(j, "evidence", json_text(c->verdict.evidence));
        json_object_set_new(j, "functions", report_functions(c));
        json_object_set_new(j, "findings", json_findings(&c->verdict));
        json_object_set_new(j, "usec", json_integer((json_int_t)c->usec));
        json_object_set_new(j, "peak_kib", json_integer((json_int_t)c->peak_kib));
        return j;
}

static json_t *paths_json(const char *const *paths, size_t n) {
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, json_text(paths[i]));
        return list;
}

static int print_json(const Inputs *in, const Result *results, size_t n) {
        json_t *j = json_object(), *pairs = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(pairs, result_json(&results[i]));
        json_object_set_new(j, "pairs", pairs);
        json_object_set_new(j, "only_old", paths_json(in->only_old, in->n_only_old));
        json_object_set_new(j, "only_new", paths_json(in->only_new, in->n_only_new));
        return json_print(j);
}

static void print_table(const Result *results, size_t n, Arena *a) {
        static const char *const titles[] = { "FILE",    "VERDICT", "LAYOUT",  "IDENTICAL", "CHANGED",
                                              "CARRIED", "ADDED",   "REMOVED", "TIME" };
        Table t;

        table_init(&t, a, ELEMENTSOF(titles));
        for (size_t i = 0; i < ELEMENTSOF(titles); i++) {
                t.right[i] = i > 2;
                table_cell(&t, COLOUR_BOLD, "%s", titles[i]);
        }
        for (size_t i = 0; i < n; i++) {
                const Comparison *c = &results[i].comparison;
                const size_t counts[] = { c->identical, c->changed, c->carried, c->added, c->removed };
                bool compared = c->outcome == OUTCOME_HOTPATCH || c->outcome == OUTCOME_RESTART;

                table_cell(&t, COLOUR_NONE, "%s", results[i].pair->file);
                table_cell(&t, report_colour(c->outcome), "%s", outcome_text(c->outcome));
                table_cell(&t, COLOUR_NONE, "%s", compared ? layout_grade_text(c->verdict.grade) : "-");
                for (size_t k = 0; k < ELEMENTSOF(counts); k++)
                        table_cell(&t, COLOUR_NONE, compared ? "%zu" : "-", counts[k]);
                table_cell(&t, COLOUR_NONE, "%s", text_duration(a, c->usec));
        }
        table_print(&t, stdout);
}

static void print_text(const Inputs *in, const Result *results, size_t n) {
        _cleanup_(arena_freep) Arena *a = arena_new();

        if (in->old_deb)
                printf("%s %s -> %s\n\n",
                       text_safe(a, in->new_deb->package ? in->new_deb->package : "package"),
                       text_safe(a, in->old_deb->version ? in->old_deb->version : "?"),
                       text_safe(a, in->new_deb->version ? in->new_deb->version : "?"));
        print_table(results, n, a);
        for (size_t i = 0; i < n; i++) {
                const Comparison *c = &results[i].comparison;

                if (!c->verdict.n && !*c->verdict.evidence)
                        continue;
                printf("\n%s%s%s", colour_begin(stdout, COLOUR_BOLD), text_safe(a, results[i].pair->file),
                       colour_end(stdout));
                if (*c->verdict.evidence)
                        printf("  (%s)", text_safe(a, c->verdict.evidence));
                putchar('\n');
                report_findings(&c->verdict, stdout);
        }
        for (size_t i = 0; i < in->n_only_old; i++)
                printf("%sonly in the old package: %s\n", i ? "" : "\n", text_safe(a, in->only_old[i]));
        for (size_t i = 0; i < in->n_only_new; i++)
                printf("%sonly in the new package: %s\n", i ? "" : "\n", text_safe(a, in->only_new[i]));
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        Inputs in = { 0 };
        Result *results = NULL;
        Error e = { 0 };
        size_t n = 0;
        bool others; /* one file of a package that cannot be read keeps nothing from being said of the others
                      */
        int code = options_read(&o, self, TAKES_JSON | TAKES_DEBUG | TAKES_ACCEPT, argc, argv);

        if (code >= 0)
                return code;
        if (argc - optind != 2)
                return usage_error(self, "two files are needed: OLD and NEW");
        if (inputs_open(argv[optind], argv[optind + 1], &o, &in, &e) < 0)
                return report_error(&e);
        results = arena_newa(in.arena, Result, in.n);
        others = in.old_deb && !o.debug_old && !o.debug_new;
        code = EXIT_DONE;
        for (size_t i = 0; i < in.n && (code != EXIT_ERROR || others); i++) {
                Result *r = &results[n];

                r->pair = &in.pairs[i];
                progress("comparing %s (%zu of %zu)", in.pairs[i].file, i + 1, in.n);
                if (compare_pair(&in, r->pair, argv[optind], argv[optind + 1], &o, &r->comparison, &e) < 0) {
                        code = report_error(&e);
                        continue;
                }
                n++;
                if (code == EXIT_DONE && (r->comparison.outcome == OUTCOME_RESTART ||
                                          r->comparison.outcome == OUTCOME_UNSUPPORTED))
                        code = EXIT_REFUSED;
        }
        progress_clear();
        if (code != EXIT_ERROR || n) {
                if (!o.json)
                        print_text(&in, results, n);
                else if (print_json(&in, results, n) != EXIT_DONE)
                        code = EXIT_ERROR;
        }
        for (size_t i = 0; i < n; i++)
                comparison_free(&results[i].comparison);
        inputs_close(&in);
        return code;
}

const Command command_diff = {
        .name = "diff",
        .arguments = "OLD NEW",
        .summary = "Compares two builds and says whether running processes can be moved over",
        .help = "OLD and NEW are two ELF files or two .deb packages (every ELF pair inside is compared).\n\n"
                "      --debug-old FILE  debug information of OLD (an ELF file or a -dbgsym package)\n"
                "      --debug-new FILE  debug information of NEW\n"
                "      --no-debug        do not look for debug information\n"
                "      --accept CODE     judge as if this reason did not count (repeatable)\n"
                "      --json            print JSON\n"
                "      --explain CODE    say what a code means\n"
                "  -h, --help            this text\n\n"
                "Exit code: 0 hotpatchable or unchanged, 3 a restart is needed, 1 error, 2 usage.\n",
        .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/report.h"
#include "patch/digest.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static bool is_folder(const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Where the patch of one file of a package goes: by its name, or by its whole path when another has that
 * name. */
static const char *place_in(const char *folder, const Inputs *in, size_t i) {
        const char *name = base_name(in->pairs[i].file);
        char *text;

        for (size_t k = 0; k < in->n; k++)
                if (k != i && strcmp(base_name(in->pairs[k].file), name) == 0) {
                        name = in->pairs[i].file + strspn(in->pairs[i].file, "/");
                        break;
                }
        text = arena_strdup(in->arena, name);
        for (char *p = text; (p = strchr(p, '/'));)
                *p = '-';
        return arena_printf(in->arena, "%s/%s.staunch", folder, text);
}

/* What a slip of the keyboard must not cost: a device or pipe, or one of the files that are compared. */
static int check_output(const char *to, const char *const *inputs, size_t n, Error *e) {
        struct stat there, input;

        if (stat(to, &there) < 0)
                return 0;
        if (!S_ISREG(there.st_mode))
                return error_set(e, -EINVAL, "%s: not a regular file; it was left alone", to);
        for (size_t i = 0; i < n; i++)
                if (inputs[i] && stat(inputs[i], &input) == 0 && input.st_dev == there.st_dev &&
                    input.st_ino == there.st_ino)
                        return error_set(e, -EINVAL,
                                         "%s is what the patch is to be made of; it was left alone", to);
        return 0;
}

/* `written` is where the patch went; NULL when there is none. */
static json_t *build_json(const Pair *pair, const Comparison *c, const char *written) {
        json_t *j = json_object();

        json_object_set_new(j, "file", json_text(pair->file));
        json_object_set_new(j, "patch", written ? json_text(written) : json_null());
        json_object_set_new(j, "digest", c->patch ? json_digest(c->patch->digest) : json_null());
        json_object_set_new(j, "verdict", json_text(outcome_text(c->outcome)));
        json_object_set_new(j, "grade", json_text(layout_grade_text(c->verdict.grade)));
        json_object_set_new(j, "evidence", json_text(c->verdict.evidence));
        json_object_set_new(j, "functions", report_functions(c));
        json_object_set_new(j, "sites", json_integer(c->patch ? (json_int_t)c->patch->n_sites : 0));
        json_object_set_new(j, "bytes", json_integer((json_int_t)c->patch_size));
        json_object_set_new(j, "old_build_id", json_build_id(&c->old_id));
        json_object_set_new(j, "new_build_id", json_build_id(&c->new_id));
        json_object_set_new(j, "findings", json_findings(&c->verdict));
        json_object_set_new(j, "usec", json_integer((json_int_t)c->usec));
        json_object_set_new(j, "peak_kib", json_integer((json_int_t)c->peak_kib));
        return j;
}

static void build_text(const Pair *pair, const Comparison *c, const char *written) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        char digest[65];

        printf("%s: %s%s%s", text_safe(a, pair->file), colour_begin(stdout, report_colour(c->outcome)),
               outcome_text(c->outcome), colour_end(stdout));
        if (c->outcome == OUTCOME_UNCHANGED)
                puts("; no code changed, so there is no patch to make");
        else if (written)
                printf("\n  %s: %zu function%s replaced, %zu added, %zu bytes\n  digest %s\n",
                       text_safe(a, written), c->patch->n_sites, plural(c->patch->n_sites), c->added,
                       c->patch_size, digest_text(c->patch->digest, digest));
        else
                puts("; no patch was written");
        report_findings(&c->verdict, stdout);
}

static int build_pair(const Inputs *in, Pair *pair, char **operands, const Options *o, const char *to,
                      json_t *list) {
        const char *const inputs[] = { operands[0], operands[1], o->debug_old, o->debug_new };
        Comparison c = { 0 };
        Error e = { 0 };
        const char *written = NULL;
        int code = EXIT_DONE;

        if (check_output(to, inputs, ELEMENTSOF(inputs), &e) < 0)
                return report_error(&e);
        if (compare_pair(in, pair, operands[0], operands[1], o, &c, &e) < 0)
                return report_error(&e);
        if (c.patch) {
                if (file_write_atomic(to, c.patch_bytes, c.patch_size, &e) < 0)
                        code = report_error(&e);
                else
                        written = to;
        } else if (c.outcome != OUTCOME_UNCHANGED) {
                code = EXIT_REFUSED;
        }
        progress_clear();
        if (list)
                json_array_append_new(list, build_json(pair, &c, written));
        else if (code != EXIT_ERROR)
                build_text(pair, &c, written);
        comparison_free(&c);
        return code;
}

/* The worse of two exit codes: an error, then a refusal. */
static int worse(int a, int b) {
        if (a == EXIT_ERROR || b == EXIT_ERROR)
                return EXIT_ERROR;
        return MAX(a, b);
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        _cleanup_(json_decrefp) json_t *list = NULL;
        Inputs in = { 0 };
        Error e = { 0 };
        bool folder;
        int code = options_read(&o, self, TAKES_JSON | TAKES_DEBUG | TAKES_ACCEPT | TAKES_OUTPUT, argc, argv);

        if (code >= 0)
                return code;
        if (argc - optind != 2)
                return usage_error(self, "two files are needed: OLD and NEW");
        if (!o.output)
                return usage_error(self, "where to? -o FILE");
        if (inputs_open(argv[optind], argv[optind + 1], &o, &in, &e) < 0)
                return report_error(&e);
        folder = is_folder(o.output);
        if (in.n > 1 && !folder) {
                inputs_close(&in);
                return usage_error(self, "the packages hold %zu ELF files: give an existing folder with -o",
                                   in.n);
        }
        list = o.json ? json_array() : NULL;
        code = EXIT_DONE;
        for (size_t i = 0; i < in.n; i++) {
                const char *to = folder ? place_in(o.output, &in, i) : o.output;

                progress("building %s (%zu of %zu)", in.pairs[i].file, i + 1, in.n);
                code = worse(code, build_pair(&in, &in.pairs[i], argv + optind, &o, to, list));
        }
        if (list) {
                json_t *j = in.old_deb ? json_pack("{s:O}", "patches", list)
                                       : json_incref(json_array_get(list, 0));

                if (j && json_print(j) != EXIT_DONE)
                        code = EXIT_ERROR;
        }
        inputs_close(&in);
        return code;
}

const Command command_build = {
        .name = "build",
        .arguments = "OLD NEW -o FILE",
        .summary = "Makes the patch that moves processes from OLD to NEW",
        .help = "OLD and NEW are two ELF files or two .deb packages (then FILE may be a folder: one patch a "
                "file).\n\n"
                "  -o, --output FILE     where the patch goes\n"
                "      --accept CODE     make it although this reason speaks against it (repeatable)\n"
                "      --debug-old FILE  debug information of OLD (an ELF file or a -dbgsym package)\n"
                "      --debug-new FILE  debug information of NEW\n"
                "      --no-debug        do not look for debug information\n"
                "      --json            print JSON\n"
                "      --explain CODE    say what a code means\n"
                "  -h, --help            this text\n\n"
                "Exit code: 0 made, or no code changed; 3 refused; 1 error; 2 usage.\n",
        .run = run,
};

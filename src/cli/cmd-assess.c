/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "cli/evidence.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"
#include "elf/deb.h"
#include "evidence/assess.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

typedef VEC(Assessed) AssessedList;

static json_t *pair_json(const AssessedPair *p) {
        json_t *processes = json_array();

        for (size_t i = 0; i < p->n; i++)
                json_array_append_new(processes,
                                      json_pack("{s:i, s:o, s:o}", "pid", (int)p->images[i]->process->pid,
                                                "comm", json_text(p->images[i]->process->comm), "unit",
                                                json_text(p->images[i]->process->unit)));
        return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "path", json_text(p->run->path),
                         "build_id", json_build_id(&p->run->id), "new_build_id", json_build_id(&p->new_id),
                         "version", p->run->version ? json_text(p->run->version) : json_null(), "outcome",
                         assess_outcome_text(p->outcome), "why", json_text(p->why), "functions",
                         p->compared ? report_functions(&p->comparison) : json_null(), "findings",
                         p->compared ? json_findings(&p->comparison.verdict) : json_array(), "processes",
                         processes);
}

static json_t *assessed_json(const Assessed *a) {
        json_t *images = json_array(), *cves = json_array();

        for (size_t i = 0; i < a->n; i++)
                json_array_append_new(images, pair_json(&a->pairs[i]));
        for (size_t i = 0; i < a->n_cves; i++)
                json_array_append_new(cves, json_text(a->cves[i]));
        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "package", json_text(a->name),
                         "arch", json_text(a->arch), "installed",
                         a->installed ? json_text(a->installed->version) : json_null(), "candidate",
                         json_text(a->new), "file", a->file ? json_text(a->file) : json_null(), "cves", cves,
                         "cves_known", json_boolean(a->cves_known), "outcome",
                         assess_outcome_text(a->outcome), "images", images);
}

static Colour colour_of(AssessOutcome o) {
        return o == ASSESS_RESTART ? COLOUR_BAD : o == ASSESS_UNKNOWN ? COLOUR_WARN : COLOUR_GOOD;
}

static const char *names_of(const AssessedPair *p, Arena *a) {
        enum { SHOWN = 4 };
        const char *text = "";

        for (size_t i = 0; i < p->n && i < SHOWN; i++)
                text = arena_printf(a, "%s%s%s %d", text, *text ? ", " : "", p->images[i]->process->comm,
                                    p->images[i]->process->pid);
        return p->n > SHOWN ? arena_printf(a, "%s and %zu more", text, p->n - SHOWN) : text;
}

static void print_table(const AssessedList *l) {
        static const char *const titles[] = { "PACKAGE", "INSTALLED", "CANDIDATE", "IMAGE",
                                              "OUTCOME", "PROCESSES", "REASON" };
        _cleanup_(arena_freep) Arena *arena = arena_new();
        size_t idle = 0, rows = 0, n[ASSESS_RESTART + 1] = { 0 };
        Table t;

        table_init(&t, arena, ELEMENTSOF(titles));
        for (size_t i = 0; i < ELEMENTSOF(titles); i++)
                table_cell(&t, COLOUR_BOLD, "%s", titles[i]);
        for (size_t i = 0; i < l->n; i++) {
                const Assessed *a = &l->items[i];

                if (a->n)
                        n[a->outcome]++;
                else
                        idle++;
                for (size_t k = 0; k < a->n; k++, rows++) {
                        const AssessedPair *p = &a->pairs[k];

                        table_cell(&t, COLOUR_NONE, "%s", a->name);
                        table_cell(&t, COLOUR_NONE, "%s", a->installed ? a->installed->version : "-");
                        table_cell(&t, COLOUR_NONE, "%s", a->new);
                        table_cell(&t, COLOUR_NONE, "%s", p->run->path);
                        table_cell(&t, colour_of(p->outcome), "%s", assess_outcome_text(p->outcome));
                        table_cell(&t, COLOUR_NONE, "%s", names_of(p, arena));
                        table_cell(&t, COLOUR_NONE, "%s",
                                   p->compared && p->outcome == ASSESS_RESTART
                                           ? report_reason(&p->comparison.verdict, arena)
                                           : p->why);
                }
        }
        if (rows)
                table_print(&t, stdout);
        for (size_t i = 0; i < l->n; i++) {
                const Assessed *a = &l->items[i];
                const char *text = "";

                for (size_t k = 0; k < a->n_cves; k++)
                        text = arena_printf(arena, "%s%s%s", text, *text ? ", " : "", a->cves[k]);
                if (!a->n_cves)
                        text = a->cves_known ? "none named" : "not known here";
                if (a->n)
                        text_wrap(stdout, arena_printf(arena, "%s %s, CVEs: %s", a->name, a->new, text), 0);
        }
        printf("%s%zu upgrade%s: %zu hotpatchable, %zu without a change in code that runs, %zu to be "
               "restarted, "
               "%zu unknown, %zu that no process runs.\n",
               rows ? "\n" : "", l->n, plural(l->n), n[ASSESS_HOTPATCH], n[ASSESS_UNCHANGED],
               n[ASSESS_RESTART], n[ASSESS_UNKNOWN], idle);
}

static int print_all(const AssessedList *l, bool json) {
        int code = EXIT_DONE;

        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].outcome == ASSESS_RESTART)
                        code = EXIT_REFUSED;
                else if (l->items[i].outcome == ASSESS_UNKNOWN && code == EXIT_DONE)
                        code = EXIT_UNKNOWN;
        if (json) {
                json_t *list = json_array();

                for (size_t i = 0; i < l->n; i++)
                        json_array_append_new(list, assessed_json(&l->items[i]));
                return json_print(json_pack("{s:o}", "upgrades", list)) == EXIT_DONE ? code : EXIT_ERROR;
        }
        print_table(l);
        return code;
}

static bool is_file(const char *operand) {
        return strchr(operand, '/') || deb_is(operand);
}

/* The operands that are files. */
static int assess_files(Exposure *x, char **operands, const AssessOptions *o, AssessedList *l, Error *e) {
        int r = 0;

        for (; r == 0 && *operands; operands++) {
                Assessed a;

                if (!is_file(*operands))
                        continue;
                r = assess_file(x, *operands, o, &a, e);
                if (r == 0)
                        vec_push(l, a);
        }
        return r;
}

/* "NAME" or "NAME:ARCH" */
static bool names(const char *operand, const Upgrade *u) {
        size_t n = strlen(u->name);

        return strncmp(operand, u->name, n) == 0 &&
               (!operand[n] || (operand[n] == ':' && strcmp(operand + n + 1, u->arch) == 0));
}

static bool is_named(const Upgrade *u, char **operands) {
        for (; *operands; operands++)
                if (names(*operands, u))
                        return true;
        return false;
}

/* A slip of the keyboard looks like a package that is current. */
static void tell_unknown(char **operands, const Upgrades *upgrades) {
        progress_clear();
        for (; *operands; operands++) {
                bool known = is_file(*operands);

                for (size_t i = 0; i < upgrades->n && !known; i++)
                        known = names(*operands, &upgrades->items[i]);
                if (!known)
                        fprintf(stderr, "staunch assess: apt has no upgrade of '%s'\n", *operands);
        }
}

/* What apt has: all, or the packages among the operands. */
static int assess_apt(Exposure *x, char **operands, const AssessOptions *o, AssessedList *l, Error *e) {
        Upgrades upgrades;
        size_t packages = 0, files = 0;
        int r;

        for (char **at = operands; *at; at++)
                *(is_file(*at) ? &files : &packages) += 1;
        if (files && !packages)
                return 0;
        r = upgrades_read(o->root, x->arena, &upgrades, e);
        for (size_t i = 0; r == 0 && i < upgrades.n; i++) {
                Assessed a;

                if (packages && !is_named(&upgrades.items[i], operands))
                        continue;
                r = assess_upgrade(x, &upgrades.items[i], o, &a, e);
                if (r == 0)
                        vec_push(l, a);
        }
        if (r == 0)
                tell_unknown(operands, &upgrades);
        return r;
}

/* The folder of downloads, which is emptied of what apt put there. */
static void remove_downloads(const char *folder) {
        DIR *dir = opendir(folder);
        char path[PATH_MAX];
        struct dirent *d;

        while (dir && (d = readdir(dir))) {
                snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
                if (d->d_name[0] != '.')
                        unlink(path);
        }
        if (dir)
                closedir(dir);
        rmdir(folder);
}

static int assess(const Options *o, char **operands) {
        const char *state = o->state ? o->state : STATE_DIR;
        char folder[] = "/tmp/staunch-assess-XXXXXX";
        AssessedList list = { 0 };
        Policy policy;
        Exposure x;
        Error e = { 0 };
        AssessOptions options = { .policy = &policy,
                                  .accepted = o->accepted,
                                  .root = o->root,
                                  .cache = access(state, W_OK) == 0 ? state : NULL,
                                  .progress = progress };
        int r, code;

        if (policy_load(POLICY_FILE, &policy, &e) < 0)
                return report_error(&e);
        code = evidence_read(o, NULL, false, &x);
        if (code != EXIT_DONE) {
                policy_free(&policy);
                return code;
        }
        if (o->download)
                options.downloads = mkdtemp(folder);
        r = o->download && !options.downloads ? error_errno(&e, -errno, "%s", folder) : 0;
        if (r == 0)
                r = assess_files(&x, operands, &options, &list, &e);
        if (r == 0)
                r = assess_apt(&x, operands, &options, &list, &e);
        progress_clear();
        code = r < 0 ? report_error(&e) : print_all(&list, o->json);
        if (options.downloads)
                remove_downloads(options.downloads);
        for (size_t i = 0; i < list.n; i++)
                assessed_free(&list.items[i]);
        vec_free(&list);
        exposure_free(&x);
        policy_free(&policy);
        return code;
}

static int run_assess(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        int code = options_read(&o, self,
                                TAKES_JSON | TAKES_ROOT | TAKES_STATE | TAKES_ACCEPT | TAKES_TRACKER |
                                        TAKES_DOWNLOAD,
                                argc, argv);

        return code >= 0 ? code : assess(&o, argv + optind);
}

const Command command_assess = {
        .name = "assess",
        .arguments = "[OPTION]... [PACKAGE | FILE.deb]...",
        .summary = "Says what an upgrade would do here: which processes can be patched, which need a restart",
        .help = "Without an operand: all upgrades that apt has now. Nothing on the machine is changed.\n\n"
                "      --download      let apt download packages that are not in its cache, to a folder that "
                "is\n"
                "                      removed afterwards\n"
                "      --accept CODE   do not let this reason count, besides what the policy accepts\n"
                "      --tracker FILE  the security tracker's data, in debsecan's form\n"
                "      --root DIR      only images below DIR, and the package managers there\n"
                "      --state DIR     the agent's state (default " STATE_DIR
                "); comparisons are kept there\n"
                "      --json          print JSON\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 nothing needs a restart, 3 something does, 5 something is unknown, 1 error, 2 "
                "usage.\n",
        .run = run_assess,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/json.h"
#include "cli/kept.h"
#include "cli/recording.h"
#include "cli/report.h"
#include "cli/targets.h"
#include "deliver/converge.h"
#include "deliver/round.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *outcome_name(ImageOutcome o) {
        static const char *const names[] = { "patched", "hotpatch", "reverted", "revert",
                                             "restart", "current",  "error" };

        return names[o];
}

static json_t *image_json(const ConvergedImage *image) {
        json_t *j = json_object(), *findings = image->verdict ? json_findings(image->verdict) : json_array();

        if (image->refusal < REFUSAL_N)
                json_array_append_new(findings, json_finding(image->refusal, image->subject, image->detail));
        json_object_set_new(j, "path", json_text(image->image->path));
        json_object_set_new(j, "old_build_id", json_build_id(&image->image->old_id));
        json_object_set_new(j, "new_build_id", json_build_id(&image->image->new_id));
        if (converge_reverts(image) && image->carries) {
                json_object_set_new(j, "patch_build_id", json_build_id(&image->carried.new_id));
                json_object_set_new(j, "digest", json_digest(image->carried.digest));
        }
        json_object_set_new(j, "outcome", json_text(outcome_name(image->outcome)));
        json_object_set_new(j, "functions", json_integer((json_int_t)image->functions));
        json_object_set_new(j, "pause_usec", json_integer((json_int_t)image->pause_usec));
        json_object_set_new(j, "findings", findings);
        json_object_set_new(j, "error",
                            image->outcome == IMAGE_ERROR ? json_text(image->error) : json_null());
        return j;
}

static json_t *process_json(const ConvergedProcess *p) {
        json_t *images = json_array(), *j = json_object();

        for (size_t i = 0; i < p->of->n; i++)
                json_array_append_new(images, image_json(&p->images[i]));
        json_object_set_new(j, "pid", json_integer(p->of->process.pid));
        json_object_set_new(j, "comm", json_text(p->of->process.comm));
        json_object_set_new(j, "unit", json_text(p->of->process.unit));
        json_object_set_new(j, "images", images);
        if (p->applied) {
                json_object_set_new(j, "threads", json_integer(p->result.threads));
                json_object_set_new(j, "attempts", json_integer(p->result.attempts));
                json_object_set_new(j, "stage_usec", json_integer((json_int_t)p->result.stage_usec));
                json_object_set_new(j, "pause_total_usec",
                                    json_integer((json_int_t)p->result.pause_total_usec));
                json_object_set_new(j, "private_bytes", json_integer((json_int_t)p->result.private_bytes));
                json_object_set_new(j, "shared_bytes", json_integer((json_int_t)p->result.shared_bytes));
        }
        return j;
}

static json_t *pair_json(const Converged *c, size_t i) {
        const Comparison *with = &c->pairs[i].comparison;
        json_t *j = json_object();

        json_object_set_new(j, "path", json_text(c->outdated.pairs[i].path));
        json_object_set_new(j, "old_build_id", json_build_id(&c->outdated.pairs[i].old_id));
        json_object_set_new(j, "new_build_id", json_build_id(&c->outdated.pairs[i].new_id));
        json_object_set_new(j, "verdict",
                            c->pairs[i].error.code ? json_text("error")
                                                   : json_text(outcome_text(with->outcome)));
        json_object_set_new(j, "functions", report_functions(with));
        json_object_set_new(j, "digest", with->patch ? json_digest(with->patch->digest) : json_null());
        json_object_set_new(j, "usec", json_integer((json_int_t)with->usec));
        json_object_set_new(j, "peak_kib", json_integer((json_int_t)with->peak_kib));
        return j;
}

static int print_json(const Converged *c, const Options *o) {
        json_t *j = json_object(), *processes = json_array(), *pairs = json_array();

        for (size_t i = 0; i < c->outdated.n_processes; i++)
                if (!c->processes[i].gone)
                        json_array_append_new(processes, process_json(&c->processes[i]));
        for (size_t i = 0; i < c->outdated.n_pairs; i++)
                if (c->pairs[i].wanted)
                        json_array_append_new(pairs, pair_json(c, i));
        json_object_set_new(j, "dry_run", json_boolean(o->dry_run));
        json_object_set_new(j, "processes", processes);
        json_object_set_new(j, "pairs", pairs);
        json_object_set_new(j, "summary",
                            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "processes",
                                      (json_int_t)c->outdated.looked_at, "patched", (json_int_t)c->patched,
                                      "restart", (json_int_t)c->restart, "errors", (json_int_t)c->errors,
                                      "current", (json_int_t)c->current, "hotpatchable", (json_int_t)c->would,
                                      "reverted", (json_int_t)c->reverted, "revertible",
                                      (json_int_t)c->would_revert));
        return json_print(j);
}

static const char *image_reason(const ConvergedImage *image, Arena *a) {
        const Refusal *r = refusal_get(image->refusal);

        if (r)
                return arena_printf(a, "%s: %s%s%s%s", r->code, *image->subject ? image->subject : r->title,
                                    *image->detail ? " (" : "", image->detail, *image->detail ? ")" : "");
        if (image->outcome == IMAGE_ERROR)
                return image->error;
        if (converge_reverts(image))
                return "the build on disk is the one it was started with";
        return image->outcome == IMAGE_RESTART && image->verdict ? report_reason(image->verdict, a) : "";
}

static void print_rows(Table *t, const ConvergedProcess *p, Arena *a) {
        for (size_t i = 0; i < p->of->n; i++) {
                const ConvergedImage *image = &p->images[i];
                Colour colour = image->outcome <= IMAGE_WOULD_REVERT ? COLOUR_GOOD
                                : image->outcome == IMAGE_CURRENT    ? COLOUR_NONE
                                                                     : COLOUR_BAD;

                table_cell(t, COLOUR_NONE, "%d", p->of->process.pid);
                table_cell(t, COLOUR_NONE, "%s", p->of->process.comm);
                table_cell(t, COLOUR_NONE, "%s", p->of->process.unit[0] ? p->of->process.unit : "-");
                table_cell(t, COLOUR_NONE, "%s", image->image->path);
                table_cell(t, colour, "%s", outcome_name(image->outcome));
                table_cell(t, COLOUR_NONE, image->functions ? "%zu" : "-", image->functions);
                table_cell(t, COLOUR_NONE, "%s",
                           image->pause_usec ? text_duration(a, image->pause_usec) : "-");
                table_cell(t, COLOUR_NONE, "%s", image_reason(image, a));
        }
}

/* Does the process need a restart; or (`passing`) only another try? */
static bool is_left(const ConvergedProcess *p, bool passing) {
        bool restart = false, retry = false;

        for (size_t i = 0; !p->gone && i < p->of->n; i++)
                if (p->images[i].outcome == IMAGE_RESTART)
                        *(converge_is_passing(p->images[i].refusal) ? &retry : &restart) = true;
        return passing ? retry && !restart : restart;
}

/* The units (or, without one, the processes) that are left, each once. */
static void print_left(const Converged *c, bool passing, const char *title, Arena *a) {
        const char **units = arena_newa(a, const char *, c->outdated.n_processes);
        size_t n = 0;

        for (size_t i = 0; i < c->outdated.n_processes; i++) {
                const ConvergedProcess *p = &c->processes[i];
                const char *unit = p->of->process.unit;
                bool told = false;

                if (!is_left(p, passing))
                        continue;
                if (!*unit)
                        unit = arena_printf(a, "process %d (%s)", p->of->process.pid, p->of->process.comm);
                for (size_t k = 0; k < n; k++)
                        told |= strcmp(units[k], unit) == 0;
                if (!told)
                        units[n++] = unit;
        }
        if (n)
                printf("\n%s:\n", title);
        for (size_t i = 0; i < n; i++)
                printf("  %s\n", text_safe(a, units[i]));
}

static void print_text(const Converged *c) {
        static const char *const titles[] = { "PID",     "PROCESS",   "UNIT",  "IMAGE",
                                              "VERDICT", "FUNCTIONS", "PAUSE", "REASON" };
        _cleanup_(arena_freep) Arena *a = arena_new();
        Table t;

        table_init(&t, a, ELEMENTSOF(titles));
        for (size_t i = 0; i < ELEMENTSOF(titles); i++) {
                t.right[i] = i == 0 || i == 5 || i == 6;
                table_cell(&t, COLOUR_BOLD, "%s", titles[i]);
        }
        for (size_t i = 0; i < c->outdated.n_processes; i++)
                if (!c->processes[i].gone)
                        print_rows(&t, &c->processes[i], a);
        if (t.n > ELEMENTSOF(titles)) {
                table_print(&t, stdout);
                print_left(c, false, "To be restarted", a);
                print_left(c, true, "To be restarted, or to be converged again later", a);
                putchar('\n');
        }
        printf("%zu process%s looked at: ", c->outdated.looked_at, plural_es(c->outdated.looked_at));
        if (c->patched + c->would + c->reverted + c->would_revert + c->restart + c->errors == 0)
                printf("all current%s", c->current ? " (some by patches that they carry)" : "");
        else
                printf("%zu %s, %zu to be restarted, %zu error%s", c->patched + c->would,
                       c->would ? "hotpatchable" : "patched", c->restart, c->errors, plural(c->errors));
        if (c->reverted + c->would_revert)
                printf(", %zu %s", c->reverted + c->would_revert,
                       c->would_revert ? "to run its first build again"
                                       : "back at the build it was started with");
        puts(".");
        if (c->restart)
                puts("'staunch explain CODE' says more about a reason.");
}

static int compare(void *data, const OutdatedPair *pair, PairBytes *bytes, const ConvergeOptions *o,
                   Comparison *out, Error *e) {
        const StoreQuarantine *q = kept_find(data, &pair->old_id, &pair->new_id, o->accepted);

        return q && quarantine_judge(q, pair, out) ? 0 : converge_compare(pair, bytes, o, out, e);
}

/* Opened when something is begun, or is to be told. */
typedef struct Record {
        const Options *o;
        bool open;
        Recording recording;
} Record;

static Recording *record_open(Record *r) {
        if (!r->open)
                recording_open(&r->recording, r->o);
        r->open = true;
        return &r->recording;
}

static void begins(void *data, const Process *p, bool reverts, const char *image, const BuildId *old_id,
                   const BuildId *new_id, const uint8_t digest[DIGEST_SIZE]) {
        recording_begins(record_open(data), p, reverts, image, old_id, new_id, digest);
}

static void record(const Converged *c, Record *to) {
        Recording *recording;

        if (to->o->dry_run ||
            (c->outdated.n_processes == 0 && !begun_left(to->o->state ? to->o->state : STATE_DIR)))
                return;
        recording = record_open(to);
        recording_want(recording, c);
        for (size_t i = 0; recording->store && i < c->outdated.n_processes; i++) {
                const ConvergedProcess *p = &c->processes[i];

                for (size_t k = 0; !p->gone && k < p->of->n; k++) {
                        size_t pair = p->images[k].image->pair;
                        bool again;
                        StoreAction a = action_of_image(
                                p, &p->images[k], pair == SIZE_MAX ? NULL : c->pairs[pair].comparison.patch,
                                &again, recording->rec.arena);

                        recording_add(recording, &a, "by 'staunch converge'", again);
                }
        }
        if (c->patched + c->reverted)
                recording_warn(recording);
        recording_close(recording);
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        _cleanup_(closep) int lock = -1;
        _cleanup_(kept_free) Kept kept = { 0 };
        Record to = { .o = &o };
        ConvergeOptions options;
        Converged c = { 0 };
        char path[PATH_MAX];
        Error e = { 0 };
        int r, code = options_read(&o, self,
                                   TAKES_JSON | TAKES_PIDS | TAKES_DEADLINE | TAKES_ACCEPT | TAKES_CONVERGE |
                                           TAKES_STATE | TAKES_RECORD | TAKES_RUNTIME,
                                   argc, argv);

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "takes no file: it finds what is outdated by itself");
        options = (ConvergeOptions){
                .find = { .pids = o.pids.items, .n_pids = o.pids.n, .root = o.root, .progress = progress },
                .dry_run = o.dry_run,
                .no_debug = o.no_debug,
                .accepted = o.accepted,
                .compare = compare,
                .compare_data = &kept,
                .begins = begins,
                .begins_data = &to,
                .deadline_usec = o.deadline_usec,
        };
        snprintf(path, sizeof(path), "%s/lock", o.runtime ? o.runtime : RUNTIME_DIR);
        if (!o.dry_run && geteuid() == 0 && access(path, F_OK) == 0) { /* the agent is or was here */
                progress("waiting for another round to end");
                lock = round_lock(path, &e);
                if (lock < 0)
                        return report_error(&e);
        }
        r = kept_read(o.state, &kept, &e);
        if (r == 0)
                r = converge_run(&options, &c, &e);
        progress_clear();
        if (r < 0)
                return report_error(&e);
        record(&c, &to);
        code = c.errors                                            ? EXIT_ERROR
               : c.restart                                         ? EXIT_REFUSED
               : c.patched + c.would + c.reverted + c.would_revert ? EXIT_PATCHED
                                                                   : EXIT_DONE;
        if (!o.json)
                print_text(&c);
        else if (print_json(&c, &o) != EXIT_DONE)
                code = EXIT_ERROR;
        /* Root that asks about a folder of its own expects nothing of a process that hides even from it. */
        if (!(o.root && geteuid() == 0))
                code = targets_hidden(c.outdated.hidden, code);
        converge_free(&c);
        return code;
}

const Command command_converge = {
        .name = "converge",
        .arguments = "[OPTION]...",
        .summary = "Moves every process that runs a replaced program or library to the new one",
        .help = "Run it after a package upgrade or downgrade. A process whose first build is on disk again "
                "gets its\n"
                "patch taken out.\n\n"
                "      --dry-run           judge only; change no process\n"
                "      --accept CODE       patch although this reason speaks against it (repeatable)\n"
                "      --pid PID           this process only (repeatable, or PID,PID,...)\n"
                "      --root DIR          only images whose path lies below DIR\n"
                "      --deadline SECONDS  how long to try to find a moment at which no thread is inside a "
                "replaced\n"
                "                          function, for each process (default 5)\n"
                "      --no-debug          do not look for debug information\n"
                "      --state DIR         the agent's state (default " STATE_DIR
                "): what is held or in quarantine there "
                "is not\n"
                "                          applied without --accept held or --accept quarantined; what is "
                "done is\n"
                "                          in its history and events\n"
                "      --events FILE       where events go without a journal (default " EVENT_FILE ")\n"
                "      --runtime DIR       where the lock of rounds is, once the agent has run "
                "(default " RUNTIME_DIR ");\n"
                "                          another's round is waited for\n"
                "      --json              print JSON\n"
                "      --explain CODE      say what a code means\n"
                "  -h, --help              this text\n\n"
                "Exit code: 0 all current, 4 everything outdated is patched now (--dry-run: can be), 3 some "
                "need a\n"
                "restart, 1 error, 2 usage.\n",
        .run = run,
};

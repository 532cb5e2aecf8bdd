/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/kept.h"
#include "cli/lasting.h"
#include "cli/recording.h"
#include "cli/targets.h"
#include "cli/text.h"

#include <errno.h>
#include <string.h>

/* Is this very patch active in the process? */
static bool is_active(const ProcessPatch *have, size_t n, const Patch *p) {
        for (size_t i = 0; i < n; i++)
                if (have[i].state == PATCH_STATE_ACTIVE &&
                    memcmp(have[i].digest, p->digest, sizeof(p->digest)) == 0)
                        return true;
        return false;
}

/* Chooses the patches for one process. --all: those whose old image it maps. Negative: the process
 * cannot be looked at. */
static int choose(const Process *p, bool all, Patch *const *patches, size_t n, const Patch **chosen,
                  size_t *n_chosen, size_t *n_active, Error *e) {
        _cleanup_(freep) ProcessPatch *have = NULL;
        size_t n_have = 0;
        int r;

        *n_chosen = *n_active = 0;
        r = engine_status(p->pid, &have, &n_have, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (is_active(have, n_have, patches[i])) {
                        (*n_active)++;
                        continue;
                }
                if (all) {
                        r = targets_maps(p->pid, &patches[i]->old_id, e);
                        if (r < 0)
                                return r;
                        if (r == 0)
                                continue;
                }
                chosen[(*n_chosen)++] = patches[i];
        }
        return 0;
}

static bool is_unreachable(int r) {
        return r == -ESRCH || r == -EACCES || r == -EPERM;
}

/* Is one of the patches held or in quarantine? Then the process is refused for that. */
static bool is_kept(const Kept *kept, const bool *accepted, const Patch *const *patches, size_t n,
                    Action *a) {
        for (size_t i = 0; i < n; i++) {
                const StoreQuarantine *q =
                        kept_find(kept, &patches[i]->old_id, &patches[i]->new_id, accepted);

                if (!q)
                        continue;
                a->result.refusal = quarantine_code(q);
                snprintf(a->result.subject, sizeof(a->result.subject), "%s", patches[i]->name);
                snprintf(a->result.detail, sizeof(a->result.detail), "%s", q->reason);
                action_finish(a, ENGINE_REFUSED, DONE_PATCHED);
                return true;
        }
        return false;
}

/* One process that is being worked on while the next is looked at. */
typedef struct Work {
        EngineCall *call; /* NULL: none */
        const Process *process;
        const Patch **patches;
        size_t n, action; /* action: its place in the list */
} Work;

static void finish(Work *w, Recording *recording, ActionList *actions) {
        Action *a = w->call ? &actions->items[w->action] : NULL;
        int r;

        if (!a)
                return;
        r = engine_apply_finish(w->call, &a->result, &a->error);
        w->call = NULL;
        if (r == 0 && !a->result.attempts) { /* patched with another that has the same memory */
                a->done = DONE_CURRENT;
                return;
        }
        action_finish(a, r, DONE_PATCHED);
        for (size_t i = 0; recording->store && i < w->n; i++) {
                StoreAction done = action_of_apply(w->process, w->patches[i], r, &a->result, a->error.text,
                                                   recording->rec.arena);

                recording_add(recording, &done, "by 'staunch apply'",
                              r < 0 || (r > 0 && converge_is_passing(a->result.refusal)));
        }
}

/* Returns how many processes could not be looked at for want of privileges (--all). `chosen`: room for twice
 * as many patches. */
static size_t apply_to(const ProcessList *targets, const Options *o, Patch *const *patches, size_t n,
                       const Patch **chosen, const Kept *kept, Recording *recording, ActionList *actions) {
        EngineOptions options = { .deadline_usec = o->deadline_usec };
        Work work = { .patches = chosen + n };
        size_t hidden = 0;

        for (size_t i = 0; i < targets->n; i++) {
                const Process *p = &targets->items[i];
                size_t n_chosen = 0, n_active = 0;
                const Patch **swap;
                Error e = { 0 };
                Action *a;
                int r;

                progress("%d %s (%zu of %zu)", p->pid, p->comm, i + 1, targets->n);
                r = process_exists(p) ? choose(p, o->all, patches, n, chosen, &n_chosen, &n_active, &e)
                                      : error_set(&e, -ESRCH, "there is no process %d", p->pid);
                finish(&work, recording, actions);
                if (r < 0 && o->all && is_unreachable(r)) {
                        hidden += r != -ESRCH;
                        continue;
                }
                if (r >= 0 && !n_chosen && !n_active)
                        continue;
                a = actions_add(actions, p);
                if (r >= 0 && !n_chosen) {
                        a->done = DONE_CURRENT;
                        continue;
                }
                if (r >= 0 && is_kept(kept, o->accepted, chosen, n_chosen, a))
                        continue;
                for (size_t k = 0; r >= 0 && k < n_chosen; k++)
                        recording_begins(recording, p, false, chosen[k]->name, &chosen[k]->old_id,
                                         &chosen[k]->new_id, chosen[k]->digest);
                if (r >= 0)
                        r = engine_apply_begin(&work.call, p->pid, chosen, n_chosen, &options, &e);
                if (r < 0) {
                        a->error = e;
                        action_finish(a, r, DONE_PATCHED);
                        continue;
                }
                work.process = p;
                work.action = actions->n - 1;
                work.n = n_chosen;
                swap = work.patches;
                work.patches = chosen;
                chosen = swap;
        }
        finish(&work, recording, actions);
        return hidden;
}

static int apply(const Options *o, Patch *const *patches, size_t n, const Patch **chosen) {
        ProcessList targets = { 0 };
        _cleanup_(kept_free) Kept kept = { 0 };
        ActionList actions = { 0 };
        Recording recording;
        Error e = { 0 };
        size_t hidden;
        int code;

        if (kept_read(o->state, &kept, &e) < 0 || process_select(o->pids.items, o->pids.n, &targets, &e) < 0)
                return report_error(&e);
        recording_open(&recording, o);
        hidden = apply_to(&targets, o, patches, n, chosen, &kept, &recording, &actions);
        recording_warn(&recording);
        recording_close(&recording);
        code = actions_print(&actions, o->json);
        if (!actions.n && !o->json)
                puts("No process maps an image that these patches are for.");
        code = targets_hidden(hidden, code);
        lasting_warn(o->runtime, &actions, patches, n);
        actions_free(&actions);
        process_list_free(&targets);
        return code;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        int code = options_read(&o, self,
                                TAKES_JSON | TAKES_PIDS | TAKES_ALL | TAKES_DEADLINE | TAKES_RUNTIME |
                                        TAKES_ACCEPT | TAKES_STATE | TAKES_RECORD,
                                argc, argv);
        size_t n = 0, files;
        Patch **patches;
        const Patch **chosen;

        if (code >= 0)
                return code;
        for (size_t i = 0; i < REFUSAL_N; i++)
                if (o.accepted[i] && i != REFUSAL_CODE_HELD && i != REFUSAL_CODE_QUARANTINED)
                        return usage_error(
                                self,
                                "--accept: only 'held' and 'quarantined' speak against a patch that is made");
        files = (size_t)(argc - optind);
        if (!files)
                return usage_error(self, "a patch file is needed");
        patches = calloc(files, sizeof(*patches));
        chosen = calloc(2 * files, sizeof(*chosen));
        for (code = patches && chosen ? EXIT_DONE : EXIT_ERROR; code == EXIT_DONE && n < files; n++) {
                Error e = { 0 };

                if (patch_open(argv[optind + (int)n], &patches[n], &e) < 0)
                        code = report_error(&e);
                for (size_t k = 0; code == EXIT_DONE && k < n; k++)
                        if (build_id_equal(&patches[k]->old_id, &patches[n]->old_id))
                                code = usage_error(self, "%s and %s amend the same image; give one of them",
                                                   argv[optind + (int)k], argv[optind + (int)n]);
        }
        if (code == EXIT_DONE)
                code = apply(&o, patches, n, chosen);
        for (size_t i = 0; patches && i < files; i++)
                patch_free(patches[i]);
        free(patches);
        free(chosen);
        return code;
}

const Command command_apply = {
        .name = "apply",
        .arguments = "FILE... (--pid PID... | --all)",
        .summary = "Puts patches into running processes",
        .help = "Several patches are one update: a process gets all that are for images it maps, or none.\n\n"
                "      --pid PID           this process (repeatable, or PID,PID,...)\n"
                "      --all               every process that maps an image that a patch is for\n"
                "      --deadline SECONDS  how long to try to find a moment at which no thread is inside a "
                "replaced\n"
                "                          function (default 5)\n"
                "      --accept CODE       'held' or 'quarantined': also a patch that was taken out by hand, "
                "or did "
                "harm,\n"
                "                          and is kept out by the agent ('staunch list' shows them)\n"
                "      --state DIR         the agent's state (default " STATE_DIR
                "), which says that; what is done is\n"
                "                          in its history and events\n"
                "      --events FILE       where events go without a journal (default " EVENT_FILE ")\n"
                "      --runtime DIR       the agent's sockets (default /run/staunch)\n"
                "      --json              print JSON\n"
                "      --explain CODE      say what a code means\n"
                "  -h, --help              this text\n\n"
                "Exit code: 0 done, 3 a process refused, 1 error, 2 usage.\n",
        .run = run,
};

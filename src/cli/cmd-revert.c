/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/hold.h"
#include "cli/recording.h"
#include "cli/targets.h"
#include "cli/text.h"
#include "patch/digest.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* The least digits of a digest that name a patch; `status` shows 16. */
enum { LEAST_DIGITS = 8 };

/* Finds the patches to take out: `prefix` is the start of one's digest in hex; "" is for all. *out is
 * malloc'ed. Negative: the process cannot be looked at, or two patches have that prefix. */
static int find_patches(pid_t pid, const char *prefix, ProcessPatch **out, size_t *n, Error *e) {
        _cleanup_(freep) ProcessPatch *have = NULL;
        size_t all = 0, found = 0;
        int r = engine_status(pid, &have, &all, e);

        if (r < 0)
                return r;
        for (size_t i = 0; i < all; i++) {
                char text[2 * DIGEST_SIZE + 1];

                if (have[i].state == PATCH_STATE_REVERTED || have[i].state == PATCH_STATE_STAGED ||
                    strncasecmp(digest_text(have[i].digest, text), prefix, strlen(prefix)) != 0 ||
                    (found && memcmp(have[i].digest, have[found - 1].digest, DIGEST_SIZE) == 0))
                        continue;
                have[found++] = have[i];
        }
        if (found > 1 && *prefix)
                return error_set(e, -EINVAL, "%zu patches have a digest that starts with %s: give more of it",
                                 found, prefix);
        *out = TAKE_PTR(have);
        *n = found;
        return 0;
}

static void revert_process(const Process *p, const char *prefix, const EngineOptions *options, Hold *hold,
                           Recording *recording, const ProcessPatch *patches, size_t n, Action *a) {
        bool refused = false; /* nothing is touched, nor held, then */
        int r;

        for (size_t i = 0; i < n; i++)
                refused |= !options->unproved && patches[i].way_back != WAY_BACK_PROVED;
        for (size_t i = 0; i < n && !refused; i++)
                hold_patch(hold, &patches[i]);
        for (size_t i = 0; i < n && !refused; i++)
                recording_begins(recording, p, true, patches[i].name, &patches[i].old_id, &patches[i].new_id,
                                 patches[i].digest);
        r = engine_revert(p->pid, *prefix ? patches[0].digest : NULL, options, &a->result, &a->error);
        action_finish(a, r, DONE_REVERTED);
        for (size_t i = 0; recording->store && i < n; i++) {
                StoreAction done =
                        action_of_revert(p, &patches[i], r, &a->result, a->error.text, recording->rec.arena);

                if (r == 0 && hold->store)
                        done.reason = "held";
                recording_add(recording, &done, "by 'staunch revert'",
                              r < 0 || (r > 0 && converge_is_passing(a->result.refusal)));
        }
}

static int revert(const Options *o, const char *prefix) {
        EngineOptions options = { .deadline_usec = o->deadline_usec,
                                  .unproved = o->accepted[REFUSAL_CODE_REVERT_UNPROVED] };
        ProcessList targets = { 0 };
        ActionList actions = { 0 };
        Error e = { 0 };
        size_t hidden = 0;
        Hold hold = { 0 };
        Recording recording;
        int code;

        if (process_select(o->pids.items, o->pids.n, &targets, &e) < 0)
                return report_error(&e);
        recording_open(&recording, o);
        if (!o->no_hold)
                hold_open(&hold, &recording);
        for (size_t i = 0; i < targets.n; i++) {
                _cleanup_(freep) ProcessPatch *patches = NULL;
                const Process *p = &targets.items[i];
                size_t n = 0;
                Action *a;
                int r;

                progress("%d %s (%zu of %zu)", p->pid, p->comm, i + 1, targets.n);
                e = (Error){ 0 };
                r = process_exists(p) ? find_patches(p->pid, prefix, &patches, &n, &e)
                                      : error_set(&e, -ESRCH, "there is no process %d", p->pid);
                if (o->all && ((r == 0 && !n) || r == -ESRCH || r == -EACCES || r == -EPERM)) {
                        hidden += r == -EACCES || r == -EPERM;
                        continue;
                }
                a = actions_add(&actions, p);
                if (r < 0) {
                        a->error = e;
                        action_finish(a, r, DONE_REVERTED);
                } else if (!n) {
                        a->done = DONE_CURRENT;
                } else {
                        revert_process(p, prefix, &options, &hold, &recording, patches, n, a);
                }
        }
        code = actions_print(&actions, o->json);
        if (!actions.n && !o->json)
                puts("No process carries such a patch.");
        if (!o->json)
                hold_say(&hold);
        recording_close(&recording);
        code = targets_hidden(hidden, code);
        actions_free(&actions);
        process_list_free(&targets);
        return code;
}

/* A digest or the start of one, as opposed to a file. */
static bool is_digest(const char *s) {
        size_t n = strspn(s, "0123456789abcdefABCDEF");

        return !s[n] && n >= LEAST_DIGITS && n <= 2 * DIGEST_SIZE && access(s, F_OK) < 0;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        _cleanup_(patch_freep) Patch *p = NULL;
        char digest[2 * DIGEST_SIZE + 1] = "";
        int code = options_read(&o, self,
                                TAKES_JSON | TAKES_PIDS | TAKES_ALL | TAKES_DEADLINE | TAKES_STATE |
                                        TAKES_NO_HOLD | TAKES_ACCEPT | TAKES_RECORD,
                                argc, argv);

        if (code >= 0)
                return code;
        for (size_t i = 0; i < REFUSAL_N; i++)
                if (o.accepted[i] && i != REFUSAL_CODE_REVERT_UNPROVED)
                        return usage_error(self, "--accept: only 'revert-unproved' speaks against a revert");
        if (argc - optind > 1)
                return usage_error(self, "one patch file or digest at a time");
        if (argc - optind == 1 && is_digest(argv[optind])) {
                snprintf(digest, sizeof(digest), "%s", argv[optind]);
        } else if (argc - optind == 1) {
                Error e = { 0 };

                if (patch_open(argv[optind], &p, &e) < 0)
                        return report_error(&e);
                digest_text(p->digest, digest);
        }
        return revert(&o, digest);
}

const Command command_revert = {
        .name = "revert",
        .arguments = "[FILE | DIGEST] (--pid PID... | --all)",
        .summary = "Takes patches out of running processes; the old code runs again",
        .help = "DIGEST is a patch's digest or the start of it, as `staunch status` shows it. With neither "
                "FILE nor\n"
                "DIGEST: every patch of the processes.\n\n"
                "Where there is an agent, it is held: not applied again until `staunch release`.\n\n"
                "      --pid PID           this process (repeatable, or PID,PID,...)\n"
                "      --all               every process that carries the patch\n"
                "      --accept revert-unproved\n"
                "                          also a patch whose way back is not proved ('staunch status' shows "
                "that): the old\n"
                "                          code may misread what the new code has made\n"
                "      --deadline SECONDS  how long to try to find a safe moment (default 5)\n"
                "      --no-hold           let the agent apply it again at its next round\n"
                "      --state DIR         the agent's state (default " STATE_DIR
                "); what is done is in its history\n"
                "                          and events\n"
                "      --events FILE       where events go without a journal (default " EVENT_FILE ")\n"
                "      --json              print JSON\n"
                "      --explain CODE      say what a code means\n"
                "  -h, --help              this text\n\n"
                "Exit code: 0 done, 3 a process refused, 1 error, 2 usage.\n",
        .run = run,
};

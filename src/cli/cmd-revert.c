/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/targets.h"
#include "cli/text.h"
#include "patch/digest.h"

#include <errno.h>
#include <string.h>

/* Has the process a patch to take out: this one, or with NULL any? Negative: it cannot be looked at. */
static int has_patch(pid_t pid, const uint8_t *digest, Error *e) {
        _cleanup_(freep) ProcessPatch *have = NULL;
        size_t n = 0;
        int r = engine_status(pid, &have, &n, e);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (have[i].state != PATCH_STATE_REVERTED && have[i].state != PATCH_STATE_STAGED &&
                    (!digest || memcmp(have[i].digest, digest, DIGEST_SIZE) == 0))
                        return 1;
        return 0;
}

static int revert(const Options *o, const uint8_t *digest) {
        EngineOptions options = { .deadline_usec = o->deadline_usec };
        ProcessList targets = { 0 };
        ActionList actions = { 0 };
        Error e = { 0 };
        size_t hidden = 0;
        int code;

        if (targets_read(o, &targets, &e) < 0)
                return report_error(&e);
        for (size_t i = 0; i < targets.n; i++) {
                const Process *p = &targets.items[i];
                Action *a;
                int r;

                progress("%d %s (%zu of %zu)", p->pid, p->comm, i + 1, targets.n);
                e = (Error){ 0 };
                r = targets_exists(p) ? has_patch(p->pid, digest, &e)
                                      : error_set(&e, -ESRCH, "there is no process %d", p->pid);
                if (o->all && (r == 0 || r == -ESRCH || r == -EACCES || r == -EPERM)) {
                        hidden += r == -EACCES || r == -EPERM;
                        continue;
                }
                a = actions_add(&actions, p);
                if (r < 0) {
                        a->error = e;
                        action_finish(a, r, DONE_REVERTED);
                } else if (r == 0) {
                        a->done = DONE_CURRENT;
                } else {
                        r = engine_revert(p->pid, digest, &options, &a->result, &a->error);
                        action_finish(a, r, DONE_REVERTED);
                }
        }
        code = actions_print(&actions, o->json);
        if (!actions.n && !o->json)
                puts("No process carries such a patch.");
        code = targets_hidden(hidden, code);
        actions_free(&actions);
        process_list_free(&targets);
        return code;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        _cleanup_(patch_freep) Patch *p = NULL;
        uint8_t digest[DIGEST_SIZE];
        bool given = false;
        int code = options_read(&o, self, TAKES_JSON | TAKES_PIDS | TAKES_ALL | TAKES_DEADLINE, argc, argv);

        if (code >= 0)
                return code;
        if (argc - optind > 1)
                return usage_error(self, "one patch file or digest at a time");
        if (argc - optind == 1) {
                given = true;
                if (!digest_from_text(argv[optind], digest)) {
                        Error e = { 0 };

                        if (patch_open(argv[optind], &p, &e) < 0)
                                return report_error(&e);
                        memcpy(digest, p->digest, sizeof(digest));
                }
        }
        return revert(&o, given ? digest : NULL);
}

const Command command_revert = {
        .name = "revert",
        .arguments = "[FILE | DIGEST] (--pid PID... | --all)",
        .summary = "Takes patches out of running processes; the old code runs again",
        .help = "With neither FILE nor DIGEST: every patch of the processes.\n\n"
                "      --pid PID           this process (repeatable, or PID,PID,...)\n"
                "      --all               every process that carries the patch\n"
                "      --deadline SECONDS  how long to try to find a safe moment (default 5)\n"
                "      --json              print JSON\n"
                "      --explain CODE      say what a code means\n"
                "  -h, --help              this text\n\n"
                "Exit code: 0 done, 3 a process refused, 1 error, 2 usage.\n",
        .run = run,
};

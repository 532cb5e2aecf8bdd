/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lasting.h"
#include "base/macro.h"
#include "base/vec.h"
#include "cli/ask.h"
#include "cli/text.h"
#include "deliver/outdated.h"
#include "deliver/policy.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_SEC = 5, SHOWN = 10 };

static bool agent_is_automatic(const char *runtime) {
        char path[PATH_MAX];
        json_t *answer = NULL;
        const char *mode;
        bool is;

        snprintf(path, sizeof(path), "%s/control", runtime ? runtime : RUNTIME_DIR);
        if (agent_ask(path, "status", ANSWER_SEC, &answer, NULL) < 0)
                return false;
        mode = json_string_value(json_object_get(answer, "mode"));
        is = mode && strcmp(mode, patch_mode_text(PATCH_AUTOMATIC)) == 0;
        json_decref(answer);
        return is;
}

/* Is something else on disk than what one of the patches leads to? */
static bool is_undone(const OutdatedProcess *p, Patch *const *patches, size_t n) {
        for (size_t i = 0; i < p->n; i++)
                for (size_t k = 0; k < n; k++)
                        if (build_id_equal(&p->images[i].old_id, &patches[k]->old_id) &&
                            p->images[i].new_id.n &&
                            !build_id_equal(&p->images[i].new_id, &patches[k]->new_id))
                                return true;
        return false;
}

static void say(const Outdated *found, Patch *const *patches, size_t n) {
        size_t undone = 0;

        for (size_t i = 0; i < found->n_processes; i++) {
                const Process *p = &found->processes[i].process;

                if (!is_undone(&found->processes[i], patches, n))
                        continue;
                if (undone++ >= SHOWN)
                        continue;
                fprintf(stderr, "%s%d (", undone > 1 ? ", " : "staunch: warning: of process ", p->pid);
                text_put(stderr, p->comm);
                fputc(')', stderr);
        }
        if (!undone)
                return;
        if (undone > SHOWN)
                fprintf(stderr, " and %zu more", undone - SHOWN);
        fputs(" the agent takes this out at its next round, unless its policy excludes them: what is on disk "
              "is not "
              "the build that the patch leads to. To keep it, install that build; or set patch_mode = "
              "\"manual\" or "
              "\"assess-only\" in " POLICY_FILE ", and 'systemctl reload staunch-agent'.\n",
              stderr);
}

void lasting_warn(const char *runtime, const ActionList *actions, Patch *const *patches, size_t n) {
        OutdatedOptions options = { .pass_over = true, .patches = true };
        VEC(pid_t) pids = { 0 };
        Outdated found;

        for (size_t i = 0; i < actions->n; i++)
                if (actions->items[i].done == DONE_PATCHED || actions->items[i].done == DONE_CURRENT)
                        vec_push(&pids, actions->items[i].process.pid);
        options.pids = pids.items;
        options.n_pids = pids.n;
        if (pids.n && agent_is_automatic(runtime) && outdated_find(&options, &found, NULL) == 0) {
                say(&found, patches, n);
                outdated_free(&found);
        }
        vec_free(&pids);
}

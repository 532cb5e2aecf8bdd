/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/recording.h"
#include "base/macro.h"
#include "cli/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void recording_open(Recording *r, const Options *o) {
        const char *state = o->state ? o->state : STATE_DIR;
        Store *store = NULL;
        int code;

        *r = (Recording){ .begun.fd = -1 };
        code = store_open_read(state, &store, NULL);
        store_close(store);
        if (code == -ENOENT) { /* no agent was ever here */
                if (o->state)
                        error_set(&r->failed, code, "%s: there is no state of an agent", state);
                return;
        }
        if (store_open(state, &r->store, &r->failed) < 0)
                return;
        /* A state of somebody's own has events of its own. */
        recorder_begin(&r->rec, r->store,
                       o->events  ? o->events
                       : o->state ? NULL
                                  : EVENT_FILE,
                       o->root, "staunch: warning: ");
        begun_init(&r->begun, state);
        begun_tell(state, &r->rec, NULL, NULL);
}

void recording_begins(Recording *r, const Process *p, bool reverts, const char *image, const BuildId *old_id,
                      const BuildId *new_id, const uint8_t digest[DIGEST_SIZE]) {
        if (r->store)
                begun_note(&r->begun, p, reverts, image, old_id, new_id, digest);
}

void recording_want(Recording *r, const Converged *c) {
        Builds builds;

        if (!r->store || builds_open(r->rec.steps.root, &builds, NULL) < 0)
                return;
        for (size_t i = 0; i < c->outdated.n_processes; i++)
                for (size_t k = 0; k < c->outdated.processes[i].n; k++) {
                        const OutdatedImage *image = &c->outdated.processes[i].images[k];
                        const Process *p = &c->outdated.processes[i].process;

                        if (image->pair != SIZE_MAX)
                                steps_want(&r->rec.steps, image->path,
                                           builds_path(&builds, p, image->path, &image->now), &image->old_id,
                                           &image->new_id, -1, false);
                }
        builds_close(&builds);
}

void recording_add(Recording *r, StoreAction *a, const char *by, bool again) {
        if (!r->store ||
            (!again && strcmp(a->outcome, "patched") != 0 && strcmp(a->outcome, "reverted") != 0))
                return;
        if (!*a->detail)
                a->detail = by;
        progress_clear();
        recorder_add(&r->rec, a, again);
}

void recording_close(Recording *r) {
        begun_end(&r->begun);
        recorder_end(&r->rec);
        r->store = store_close(r->store);
}

void recording_warn(const Recording *r) {
        if (!r->failed.code || r->failed.code == -EACCES)
                return;
        progress_clear();
        fprintf(stderr, "staunch: warning: %s: what was done is not in the agent's history\n",
                r->failed.text);
}

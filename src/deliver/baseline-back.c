/* SPDX-License-Identifier: Apache-2.0 */
/* The way back: what was restarted runs what was there before. */
#include "base/clock.h"
#include "base/file.h"
#include "deliver/baseline-changes.h"
#include "deliver/baseline-parts.h"
#include "snapshot/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BOOTS = 2 };

static SnapshotContext snapshots(const Baseline *b) {
        return (SnapshotContext){ .policy = &b->policy->baseline.snapshot,
                                  .root = b->root,
                                  .state = b->state };
}

int baseline_check_way_back(BaselineWork *w, Error *e) {
        SnapshotContext c = snapshots(w->b);
        FoundSnapshot found;
        Restore plan;
        int r;

        if (!snapshot_wants_packages(c.policy))
                return changes_snapshot(w->store, w->id, snapshot_kind_text(c.policy->kind), &found, e);
        r = restore_plan(&c, w->store, w->id, 0, &plan, e);
        if (r == 0)
                restore_free(&plan);
        return r;
}

static void write_held(void *data, const StoreHeld *h) {
        char reason[200];

        snprintf(reason, sizeof(reason), "%.*s", (int)strcspn(h->reason, "\n"), h->reason);
        fprintf(data,
                "Explanation: baseline %" PRId64 " was rolled back: %s\n"
                "Package: %s\nPin: version %s\nPin-Priority: -1\n\n",
                h->baseline, reason, h->name, h->version);
}

int baseline_write_hold_file(BaselineWork *w, Error *e) {
        const char *file = w->b->hold_file;
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);
        int r = f ? store_each_held(w->store, write_held, f, e) : -ENOMEM;

        if ((!f || fclose(f) != 0) && r == 0)
                r = -ENOMEM;
        if (r == 0 && n)
                r = file_write_atomic(file, text, n, e);
        else if (r == 0 && unlink(file) < 0 && errno != ENOENT)
                r = error_errno(e, -errno, "%s", file);
        free(text);
        return r;
}

/* Each unit that was restarted for the baseline once more, now with the old version; none of them twice. */
static int restart_back(BaselineWork *w, Error *e) {
        const BaselineOps *ops = w->b->ops;

        for (size_t i = 0; i < w->units.n; i++) {
                BaselineUnit *u = &w->units.items[i];
                char before[BASELINE_WORD] = "";
                bool anew = false;
                int r;

                if (u->back.unit && u->back.done)
                        continue;
                r = baseline_restarted(w, u, u->back.unit ? u->back.before : u->forward.before, &anew, e);
                if (r < 0)
                        return r;
                if (!u->back.unit && !anew)
                        continue; /* it never ran the new version */
                if (!u->back.unit) {
                        r = ops->invocation(ops->data, u->name, before, e);
                        u->back = (StoreStep){ .baseline = w->id,
                                               .phase = "back",
                                               .position = u->forward.position,
                                               .unit = u->name,
                                               .before = arena_strdup(w->arena, before) };
                        anew = false;
                        if (r == 0)
                                r = store_put_step(w->store, &u->back, e);
                        if (r < 0)
                                return r;
                        baseline_fault("restart-noted");
                }
                if (!anew) {
                        r = ops->restart(ops->data, u->name, e);
                        if (r)
                                return r;
                }
                baseline_fault("restarted");
                u->back.done = true;
                r = store_put_step(w->store, &u->back, e);
                if (r < 0)
                        return r;
                baseline_fault("restart-written");
        }
        return 0;
}

/* Writes down that the rollback is prepared in this boot; `done`: that nothing but the reboot is left. */
static int note_boot(BaselineWork *w, const char *now, bool done, Error *e) {
        bool again = w->boots && strcmp(w->boot, now) == 0;

        return store_put_step(w->store,
                              &(StoreStep){ .baseline = w->id,
                                            .phase = "boot",
                                            .position = again ? w->boots - 1 : w->boots,
                                            .unit = "",
                                            .before = now,
                                            .done = done },
                              e);
}

/* Puts the root file system back: 0 when it is the old one, BASELINE_REBOOTS when it will be. */
static int put_root_back(BaselineWork *w, const char *reason, Error *e) {
        SnapshotContext c = snapshots(w->b);
        const SnapshotProvider *p;
        char name[64], now[BASELINE_WORD] = "";
        FoundSnapshot found;
        int r = changes_snapshot(w->store, w->id, snapshot_kind_text(c.policy->kind), &found, e);

        if (r == 0)
                r = w->b->ops->boot(w->b->ops->data, now, e);
        if (r < 0)
                return r;
        if (strcmp(w->boot, now) != 0 && w->boots >= MAX_BOOTS)
                return error_set(e, -EIO,
                                 "the machine was rebooted %u times, and the old root did not come back",
                                 w->boots);
        if (strcmp(w->boot, now) != 0) {
                /* Before it is done: the state that comes back has to know. */
                r = note_boot(w, now, false, e);
                if (r == 0)
                        r = baseline_set(w, BASELINE_REBOOTING, reason, e);
                if (r < 0)
                        return r;
        }
        baseline_fault("boot-noted");
        p = snapshot_provider(found.provider);
        snprintf(name, sizeof(name), "staunch-before-%" PRId64, w->id);
        r = p->rollback(&c, &found.made, name, e);
        baseline_fault("root-put-back");
        if (r == SNAPSHOT_REBOOT)
                return BASELINE_REBOOTS;
        /* With a reboot between, all of it was started with the old root. */
        for (size_t i = 0; r == 0 && w->boots && strcmp(w->first_boot, now) != 0 && i < w->units.n; i++)
                w->units.items[i].back = (StoreStep){ .unit = w->units.items[i].name, .done = true };
        return r;
}

static int put_back(BaselineWork *w, const char *reason, Error *e) {
        SnapshotContext c = snapshots(w->b);
        Restore plan;
        int r;

        if (!snapshot_wants_packages(c.policy))
                return put_root_back(w, reason, e);
        r = restore_plan(&c, w->store, w->id, 0, &plan, e);
        if (r < 0)
                return r;
        r = restore_run(&c, &plan, e);
        restore_free(&plan);
        return r;
}

/* The old versions are there: do they run, and well? BASELINE_WENT_BACK, BASELINE_REBOOTS or an error. */
static int finish_back(BaselineWork *w, const char *reason, Error *e) {
        Error why = { 0 };
        int r = restart_back(w, e);

        if (r)
                return r;
        r = baseline_watch(w, false, &why, e);
        if (r > 0)
                r = error_set(e, -EIO, "the old versions are back, and not well either: %s", why.text);
        if (r < 0)
                return r;
        baseline_fault("back-well");
        baseline_tell(w, EVENT_ROLLBACK_DONE, "was rolled back", reason);
        r = baseline_set(w, BASELINE_ROLLED_BACK, reason, e);
        if (r == 0)
                error_set(e, -ECANCELED, "baseline %" PRId64 " was rolled back: %s", w->id, reason);
        return r < 0 ? r : BASELINE_WENT_BACK;
}

static int back_failed(BaselineWork *w, const char *reason, const Error *why, Error *e) {
        char text[sizeof(why->text)];
        int r;

        snprintf(text, sizeof(text), "%s; the rollback failed: %s", reason, why->text);
        baseline_tell(w, EVENT_ROLLBACK_FAILED, "could not be rolled back", why->text);
        r = baseline_set(w, BASELINE_ROLLBACK_FAILED, text, e);
        error_set(e, why->code, "%s", text);
        return r < 0 ? r : BASELINE_WENT_WRONG;
}

static int needs_reboot(const BaselineWork *w, Error *e) {
        error_set(e, -EINPROGRESS, "baseline %" PRId64 " is rolled back with the next reboot", w->id);
        return BASELINE_REBOOTS;
}

/* All is done that can be before the reboot. */
static int note_prepared(BaselineWork *w, const char *reason, Error *e) {
        char now[BASELINE_WORD] = "";
        int r = w->b->ops->boot(w->b->ops->data, now, e);

        if (r == 0)
                r = note_boot(w, now, true, e);
        if (r == 0)
                r = baseline_set(w, BASELINE_REBOOTING, reason, e);
        baseline_fault("prepared");
        return r;
}

int baseline_go_back(BaselineWork *w, const char *reason, Error *e) {
        char text[sizeof(e->text)];
        Error why = { 0 };
        int r = 0;

        snprintf(text, sizeof(text), "%s", reason);
        if (w->state != BASELINE_REBOOTING) {
                r = baseline_set(w, BASELINE_ROLLING_BACK, text, e);
                if (r < 0)
                        return r;
                baseline_tell(w, EVENT_ROLLBACK_STARTED, "is rolled back", text);
                baseline_fault("rollback-begun");
                /* First it is made sure that nothing brings it in again. */
                r = store_hold(w->store, w->id, text, wall_usec(), e);
                if (r < 0)
                        return r;
        }
        /* After the reboot once more: the root that came back has no such file. */
        r = baseline_write_hold_file(w, e);
        if (r < 0)
                return r;
        baseline_fault("held");
        r = put_back(w, text, &why);
        baseline_fault("put-back");
        if (r == 0)
                r = finish_back(w, text, &why);
        if (r == BASELINE_REBOOTS) {
                r = note_prepared(w, text, &why);
                if (r == 0)
                        return needs_reboot(w, e);
        }
        if (r < 0)
                return back_failed(w, text, &why, e);
        if (e)
                *e = why;
        return r;
}

int baseline_go_back_apart(BaselineWork *w, Error *e) {
        const Baseline *b = w->b;
        int64_t id = w->id;
        int r;

        baseline_work_end(w);
        r = b->ops->apart(b->ops->data, id, e);
        if (r == 0)
                r = baseline_work_begin(w, b, id, e);
        if (r < 0)
                return r;
        if (w->state == BASELINE_REBOOTING)
                return needs_reboot(w, e);
        if (w->state == BASELINE_ROLLING_BACK)
                return error_set(e, -EAGAIN,
                                 "baseline %" PRId64 ": the rollback was cut off, and is gone on with", id);
        error_set(e, -ECANCELED, "baseline %" PRId64 " is %s: %s", id, baseline_state_text(w->state),
                  w->reason);
        return w->state == BASELINE_ROLLED_BACK ? BASELINE_WENT_BACK : BASELINE_WENT_WRONG;
}

int baseline_go_on_back(BaselineWork *w, Error *e) {
        const BaselineOps *ops = w->b->ops;
        char now[BASELINE_WORD] = "";
        int r = w->prepared ? ops->boot(ops->data, now, e) : 0;

        if (r < 0)
                return r;
        if (w->prepared && strcmp(w->boot, now) == 0)
                return needs_reboot(w, e);
        return ops->apart ? baseline_go_back_apart(w, e) : baseline_go_back(w, w->reason, e);
}

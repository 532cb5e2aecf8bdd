/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/snapshot.h"
#include "base/clock.h"
#include "base/macro.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const SnapshotProvider *const providers[] = { &snapshot_btrfs, &snapshot_lvm, &snapshot_hook };

static const char *const kinds[] = { "auto", "btrfs", "lvm", "packages", "hook", "none" };

const char *snapshot_kind_text(SnapshotKind k) {
        return kinds[k];
}

const SnapshotProvider *snapshot_provider(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(providers); i++)
                if (strcmp(providers[i]->name, name) == 0)
                        return providers[i];
        return NULL;
}

bool snapshot_wants_packages(const SnapshotPolicy *p) {
        return p->kind == SNAPSHOT_AUTO || p->kind == SNAPSHOT_PACKAGES;
}

int snapshot_choose(const SnapshotContext *c, const SnapshotProvider **out, Error *e) {
        Error why = { 0 };
        int r;

        *out = NULL;
        if (c->policy->kind == SNAPSHOT_NONE || c->policy->kind == SNAPSHOT_PACKAGES)
                return 0;
        if (c->policy->kind != SNAPSHOT_AUTO) {
                const SnapshotProvider *p = snapshot_provider(kinds[c->policy->kind]);

                r = p->available(c, e);
                if (r == 0)
                        *out = p;
                return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(providers); i++)
                if (providers[i] != &snapshot_hook && providers[i]->available(c, &why) == 0) {
                        *out = providers[i];
                        return 0;
                }
        if (e)
                *e = why;
        return SNAPSHOT_ABSENT;
}

int snapshot_room(const SnapshotContext *c, const SnapshotProvider *p, Error *e) {
        SnapshotSpace space = { 0 };
        int r = p->space(c, &space, e);

        if (r < 0 || !space.total || space.free >= c->policy->min_free)
                return r;
        return error_set(e, -ENOSPC, "%s: %" PRIu64 " MiB are free, and min_free is %" PRIu64 " MiB", p->name,
                         space.free >> 20, c->policy->min_free >> 20);
}

int snapshot_take(const SnapshotContext *c, const SnapshotProvider *p, Store *s, int64_t change, int64_t *id,
                  Error *e) {
        SnapshotMade made = { 0 };
        char name[64];
        int r, q;

        *id = 0;
        r = store_add_snapshot(
                s,
                &(StoreSnapshot){
                        .change = change, .time_usec = wall_usec(), .provider = p->name, .state = "taking" },
                id, e);
        if (r < 0)
                return r;
        /* The time makes it unlike one of a state that was lost. */
        snprintf(name, sizeof(name), "staunch-%" PRIu64 "-%" PRId64, wall_usec() / 1000000, *id);
        r = p->take(c, name, &made, e);
        if (r < 0) {
                Error why = e ? *e : (Error){ 0 };

                store_set_snapshot(s, *id, "failed", "", "", why.text, NULL);
                return r;
        }
        q = store_set_snapshot(s, *id, "ready", made.handle, made.mark, "", e);
        if (q < 0)
                p->drop(c, &made, NULL); /* nobody would know of it */
        return q;
}

int snapshot_drop(const SnapshotContext *c, Store *s, const StoreSnapshot *a, Error *e) {
        const SnapshotProvider *p = snapshot_provider(a->provider);
        SnapshotMade made;
        int r = 0;

        if (!p)
                return error_set(e, -EINVAL, "snapshot %" PRId64 ": there is no provider '%s'", a->id,
                                 a->provider);
        snprintf(made.handle, sizeof(made.handle), "%s", a->handle);
        snprintf(made.mark, sizeof(made.mark), "%s", a->mark);
        if (strcmp(a->state, "ready") == 0)
                r = p->drop(c, &made, e);
        if (r < 0 && r != -ENOENT)
                return r;
        return store_drop_snapshot(s, a->id, e);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/before.h"
#include "base/clock.h"
#include "base/macro.h"
#include "deliver/about.h"
#include "snapshot/keep.h"
#include "snapshot/retain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void tell(const Before *b, int64_t change, const DpkgChange *changes, size_t n, const char *what,
                 const Error *why) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        char id[24], message[700];
        About about = { 0 };

        snprintf(id, sizeof(id), "%" PRId64, change);
        if (why)
                snprintf(message, sizeof(message),
                         "Before a change of %zu package%s: no complete way back: %s", n, n == 1 ? "" : "s",
                         why->text);
        else
                snprintf(message, sizeof(message), "Before a change of %zu package%s: %s", n,
                         n == 1 ? "" : "s", what);
        for (size_t i = 0; i < n; i++)
                about_add_field(&about, arena, "STAUNCH_PACKAGE", changes[i].name);
        about_emit(&about,
                   &(Event){ .kind = why ? EVENT_SNAPSHOT_FAILED : EVENT_SNAPSHOT_TAKEN,
                             .message = message,
                             .fields = (EventField[]){ { "STAUNCH_CHANGE", id },
                                                       { "STAUNCH_DETAIL", why ? why->text : what } },
                             .n = 2 },
                   b->events, NULL);
}

/* A snapshot of the file system, where the policy wants one and it can be had. `kept`: what is told of it. */
static int take(const SnapshotContext *c, Store *store, int64_t change, char *kept, size_t size, Error *e) {
        const SnapshotProvider *p = NULL;
        int64_t id = 0;
        int r = snapshot_choose(c, &p, e);

        if (r == SNAPSHOT_ABSENT)
                return c->policy->kind == SNAPSHOT_AUTO ? 0 : -1; /* "auto" is content with packages */
        if (r < 0 || !p)
                return r;
        r = snapshot_room(c, p, e);
        if (r == 0)
                r = snapshot_take(c, p, store, change, &id, e);
        if (r == 0)
                snprintf(kept, size, "snapshot %" PRId64 " (%s)", id, p->name);
        return r;
}

int before_change(const Before *b, const DpkgChange *changes, size_t n, Error *e) {
        const PolicyBaseline *policy = &b->policy->baseline;
        SnapshotContext c = { .policy = &policy->snapshot, .root = b->root, .state = b->state };
        uint64_t until = now_usec() + policy->hook_limit_usec;
        _cleanup_(store_closep) Store *store = NULL;
        _cleanup_(arena_freep) Arena *a = arena_new();
        StorePackage *packages = arena_newa(a, StorePackage, n);
        char snapshot[128] = "", what[256];
        Error why = { 0 };
        int64_t change = 0;
        bool wanted = snapshot_wants_packages(c.policy);
        int r, q = 0;

        if (policy->snapshot.kind == SNAPSHOT_NONE || !n)
                return 0;
        for (size_t i = 0; i < n; i++)
                packages[i] = (StorePackage){ .name = changes[i].name,
                                              .arch = changes[i].arch,
                                              .old_version = changes[i].old_version,
                                              .new_version = changes[i].new_version };
        r = store_open(b->state, &store, e);
        if (r >= 0)
                r = store_add_change(store, wall_usec(), packages, n, &change, e);
        if (r >= 0 && wanted) {
                r = keep_change(&c, store, change, changes, n, until, &why);
                q = r;
        }
        if (r >= 0) {
                Error other = { 0 };

                r = take(&c, store, change, snapshot, sizeof(snapshot), &other);
                /* Of copies and a snapshot, the copies are the way back. */
                if (r < 0 && !why.code)
                        why = other;
                if (!wanted)
                        q = store_set_change(store, change, r == 0, r < 0 ? other.text : "", e);
                r = r < 0 || q > 0 ? 1 : q;
        }
        if (r < 0 && e && !why.code)
                why = *e;
        snprintf(what, sizeof(what), "%s%s%s", wanted ? "copies of their old versions" : "",
                 wanted && snapshot[0] ? ", " : "", snapshot);
        tell(b, change, changes, n, what, r ? &why : NULL);
        if (change)
                retain_run(&c, store, change, NULL);
        if (r && e)
                *e = why;
        return r;
}

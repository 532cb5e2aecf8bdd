/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/baseline-changes.h"
#include "base/arena.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/package.h"
#include "store/baseline.h"
#include "store/change.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A package of which an image waits for a restart, since then. */
typedef struct Needed {
        const char *name;
        uint64_t since_usec;
} Needed;

typedef struct Change {
        int64_t id, baseline;
        uint64_t time_usec;
        bool taken;
} Change;

typedef struct Package {
        const char *name, *arch, *new_version;
        size_t change; /* in changes */
} Package;

typedef struct Select {
        Arena *arena;
        const char *root;
        const char *const *units;
        size_t n_units;
        bool machine;
        VEC(Needed) needed;
        VEC(Change) changes;
        VEC(Package) packages;
        const char *held; /* the first that is */
} Select;

static void note_restart(void *data, const StoreRestart *r) {
        char info[PATH_MAX], name[256];
        Select *s = data;
        bool ours = false;

        for (size_t i = 0; i < s->n_units; i++)
                ours |= strcmp(s->units[i], r->subject) == 0;
        snprintf(info, sizeof(info), "%s%s", strcmp(s->root, "/") == 0 ? "" : s->root, PACKAGE_INFO);
        if (!ours || !package_of(info, r->image, name, sizeof(name)))
                return;
        for (size_t i = 0; i < s->needed.n; i++)
                if (strcmp(s->needed.items[i].name, name) == 0) {
                        s->needed.items[i].since_usec = MIN(s->needed.items[i].since_usec, r->since_usec);
                        return;
                }
        vec_push(&s->needed, (Needed){ arena_strdup(s->arena, name), r->since_usec });
}

static void note_change(void *data, const StoreChange *c) {
        Select *s = data;

        vec_push(&s->changes, (Change){ c->id, c->baseline, c->time_usec, false });
}

static void note_package(void *data, const StorePackage *p) {
        Select *s = data;

        for (size_t i = 0; i < s->changes.n; i++)
                if (s->changes.items[i].id == p->change)
                        vec_push(&s->packages,
                                 (Package){ arena_strdup(s->arena, p->name), arena_strdup(s->arena, p->arch),
                                            arena_strdup(s->arena, p->new_version), i });
}

/* The last change of the package before its restart was needed, else its first; and each that followed. */
static void take_needed(Select *s, const Needed *needed) {
        size_t first = SIZE_MAX;

        for (size_t i = 0; i < s->packages.n; i++) {
                size_t c = s->packages.items[i].change;

                if (strcmp(s->packages.items[i].name, needed->name) == 0 &&
                    (first == SIZE_MAX || s->changes.items[c].time_usec <= needed->since_usec))
                        first = c;
        }
        for (size_t i = 0; first != SIZE_MAX && i < s->packages.n; i++)
                if (strcmp(s->packages.items[i].name, needed->name) == 0 &&
                    s->packages.items[i].change >= first)
                        s->changes.items[s->packages.items[i].change].taken = true;
}

/* A later change of a package that is put back would be undone half. */
static void take_followers(Select *s) {
        for (size_t c = 0; c < s->changes.n; c++)
                for (size_t i = 0; !s->changes.items[c].taken && i < s->packages.n; i++)
                        for (size_t k = 0; s->packages.items[i].change == c && k < s->packages.n; k++)
                                s->changes.items[c].taken |=
                                        s->packages.items[k].change < c &&
                                        s->changes.items[s->packages.items[k].change].taken &&
                                        strcmp(s->packages.items[k].name, s->packages.items[i].name) == 0;
}

static int choose(Select *s, Store *store, Error *e) {
        int r = store_each_restart(store, note_restart, s, e);

        if (r == 0)
                r = store_each_change(store, note_change, s, e);
        if (r == 0)
                r = store_each_package(store, 0, note_package, s, e);
        for (size_t i = 0; i < s->n_units; i++)
                s->machine |= strcmp(s->units[i], "machine") == 0;
        for (size_t i = 0; i < s->changes.n; i++)
                s->changes.items[i].taken = s->machine && !s->changes.items[i].baseline;
        for (size_t i = 0; i < s->needed.n; i++)
                take_needed(s, &s->needed.items[i]);
        take_followers(s);
        return r;
}

static void release(Select *s) {
        vec_free(&s->needed);
        vec_free(&s->changes);
        vec_free(&s->packages);
        arena_free(s->arena);
}

/* The newest version of the package counts: an older one never comes into force. */
static void look_held(void *data, const StoreHeld *h) {
        Select *s = data;
        const Package *newest = NULL;

        for (size_t i = 0; i < s->packages.n; i++)
                if (s->changes.items[s->packages.items[i].change].taken &&
                    strcmp(s->packages.items[i].name, h->name) == 0 &&
                    strcmp(s->packages.items[i].arch, h->arch) == 0)
                        newest = &s->packages.items[i];
        if (!s->held && newest && strcmp(newest->new_version, h->version) == 0)
                s->held = arena_printf(s->arena, "%s %s (baseline %" PRId64 ")", h->name, h->version,
                                       h->baseline);
}

int changes_held(Store *store, const char *root, const char *const *units, size_t n, char *held, size_t size,
                 Error *e) {
        Select s = { .arena = arena_new(), .root = root, .units = units, .n_units = n };
        int r = choose(&s, store, e);

        if (r == 0)
                r = store_each_held(store, look_held, &s, e);
        if (r == 0 && s.held) {
                snprintf(held, size, "%s", s.held);
                r = 1;
        }
        release(&s);
        return r;
}

int changes_take(Store *store, const char *root, int64_t baseline, const char *const *units, size_t n,
                 Error *e) {
        Select s = { .arena = arena_new(), .root = root, .units = units, .n_units = n };
        int r = choose(&s, store, e);

        for (size_t i = 0; r == 0 && i < s.changes.n; i++)
                if (s.changes.items[i].taken)
                        r = store_take_change(store, baseline, s.changes.items[i].id, e);
        release(&s);
        return r;
}

static void count_outstanding(void *data, const StoreChange *c) {
        *(size_t *)data += !c->baseline;
}

int changes_outstanding(Store *store, Error *e) {
        size_t n = 0;
        int r = store_each_change(store, count_outstanding, &n, e);

        return r < 0 ? r : n > 0;
}

typedef struct Find {
        int64_t baseline, change;
        const char *provider;
        FoundSnapshot *out;
        bool found;
} Find;

static void find_first(void *data, const StoreChange *c) {
        Find *f = data;

        if (c->baseline == f->baseline && !f->change)
                f->change = c->id;
}

static void find_snapshot(void *data, const StoreSnapshot *a) {
        Find *f = data;

        if (a->change != f->change || strcmp(a->provider, f->provider) != 0 || strcmp(a->state, "ready") != 0)
                return;
        f->found = true;
        snprintf(f->out->provider, sizeof(f->out->provider), "%s", a->provider);
        snprintf(f->out->made.handle, sizeof(f->out->made.handle), "%s", a->handle);
        snprintf(f->out->made.mark, sizeof(f->out->made.mark), "%s", a->mark);
}

int changes_snapshot(Store *store, int64_t baseline, const char *provider, FoundSnapshot *out, Error *e) {
        Find f = { .baseline = baseline, .provider = provider, .out = out };
        int r = store_each_change(store, find_first, &f, e);

        if (r == 0 && f.change)
                r = store_each_snapshot(store, find_snapshot, &f, e);
        if (r == 0 && !f.found)
                r = error_set(e, -ENOENT, "there is no snapshot (%s) from before the change", provider);
        return r;
}

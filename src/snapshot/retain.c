/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/retain.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "snapshot/dpkg.h"
#include "store/baseline.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

typedef struct Copy {
        char name[NAME_MAX + 1];
        uint64_t bytes;
        time_t time;
        bool needed;    /* by a change */
        bool installed; /* this version is installed now, or will be by the current change */
} Copy;

typedef struct Change {
        int64_t id, baseline;
        uint64_t time_usec;
} Change;

typedef struct Retain {
        const SnapshotContext *c;
        Store *store;
        int64_t current, unfinished;
        VEC(Copy) copies; /* oldest first */
        VEC(Change) changes;
        VEC(StoreSnapshot) snapshots; /* strings of the arena */
        Arena *arena;
        uint64_t total; /* bytes of all copies */
        Error first;    /* what could not be dropped */
} Retain;

static void note_change(void *data, const StoreChange *a) {
        Retain *t = data;

        vec_push(&t->changes, (Change){ a->id, a->baseline, a->time_usec });
}

static void note_snapshot(void *data, const StoreSnapshot *a) {
        Retain *t = data;
        StoreSnapshot mine = *a;

        mine.provider = arena_strdup(t->arena, a->provider);
        mine.handle = arena_strdup(t->arena, a->handle);
        mine.mark = arena_strdup(t->arena, a->mark);
        mine.state = arena_strdup(t->arena, a->state);
        mine.reason = "";
        vec_push(&t->snapshots, mine);
}

static void note_needed(void *data, const StorePackage *p) {
        Retain *t = data;

        const char *coming =
                p->change == t->current ? dpkg_file_name(t->arena, p->name, p->new_version, p->arch) : "";

        for (size_t i = 0; i < t->copies.n; i++) {
                t->copies.items[i].needed |= strcmp(t->copies.items[i].name, p->file) == 0;
                t->copies.items[i].installed |= strcmp(t->copies.items[i].name, coming) == 0;
        }
}

static int by_time(const void *a, const void *b) {
        const Copy *x = a, *y = b;

        return x->time < y->time ? -1 : x->time > y->time ? 1 : strcmp(x->name, y->name);
}

static int list_copies(Retain *t, Error *e) {
        char folder[PATH_MAX], path[2 * PATH_MAX];
        DpkgPackage *installed = NULL;
        size_t n_installed = 0;
        struct dirent *d;
        struct stat st;
        DIR *dir;
        int r;

        snprintf(folder, sizeof(folder), "%s/debs", t->c->state);
        dir = opendir(folder);
        if (!dir)
                return errno == ENOENT ? 0 : error_errno(e, -errno, "%s", folder);
        while ((d = readdir(dir))) {
                Copy copy = { 0 };
                size_t n = strlen(d->d_name);

                snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
                if (n < 4 || strcmp(d->d_name + n - 4, ".deb") != 0 || lstat(path, &st) < 0 ||
                    !S_ISREG(st.st_mode))
                        continue;
                snprintf(copy.name, sizeof(copy.name), "%s", d->d_name);
                copy.bytes = (uint64_t)st.st_size;
                copy.time = st.st_ctime;
                t->total += copy.bytes;
                vec_push(&t->copies, copy);
        }
        closedir(dir);
        if (t->copies.n)
                qsort(t->copies.items, t->copies.n, sizeof(Copy), by_time);
        r = t->copies.n ? dpkg_installed(t->arena, &installed, &n_installed, e) : 0;
        for (size_t i = 0; i < n_installed; i++) {
                const char *name =
                        dpkg_file_name(t->arena, installed[i].name, installed[i].version, installed[i].arch);

                for (size_t k = 0; k < t->copies.n; k++)
                        t->copies.items[k].installed |= strcmp(t->copies.items[k].name, name) == 0;
        }
        return r;
}

static int begin(Retain *t, Error *e) {
        int r;

        t->arena = arena_new();
        r = store_each_change(t->store, note_change, t, e);
        if (r == 0)
                r = store_each_snapshot(t->store, note_snapshot, t, e);
        if (r == 0)
                r = store_unfinished(t->store, &t->unfinished, e);
        if (r == 0)
                r = list_copies(t, e);
        return r < 0 ? r : store_each_package(t->store, 0, note_needed, t, e);
}

static void end(Retain *t) {
        vec_free(&t->copies);
        vec_free(&t->changes);
        vec_free(&t->snapshots);
        arena_free(t->arena);
}

static void drop_copy(Retain *t, size_t i) {
        char path[2 * PATH_MAX];

        snprintf(path, sizeof(path), "%s/debs/%s", t->c->state, t->copies.items[i].name);
        if (unlink(path) < 0 && errno != ENOENT) {
                error_errno(&t->first, -errno, "%s", path);
                return;
        }
        t->total -= t->copies.items[i].bytes;
        memmove(&t->copies.items[i], &t->copies.items[i + 1], (--t->copies.n - i) * sizeof(Copy));
}

static bool is_protected(const Retain *t, const Change *a) {
        return a->id == t->current || (t->unfinished && (a->baseline == t->unfinished || !a->baseline));
}

/* A change of which a snapshot could not be deleted stays, and is tried again the next time. */
static int drop_change(Retain *t, size_t i, Error *e) {
        int64_t id = t->changes.items[i].id;
        int r;

        for (size_t k = 0; k < t->snapshots.n; k++) {
                if (t->snapshots.items[k].change != id)
                        continue;
                r = snapshot_drop(t->c, t->store, &t->snapshots.items[k], &t->first);
                if (r < 0)
                        return 1;
        }
        r = store_drop_change(t->store, id, e);
        if (r < 0)
                return r;
        memmove(&t->changes.items[i], &t->changes.items[i + 1], (--t->changes.n - i) * sizeof(Change));
        for (size_t k = 0; k < t->copies.n; k++)
                t->copies.items[k].needed = false;
        return store_each_package(t->store, 0, note_needed, t, e);
}

static void drop_unneeded(Retain *t) {
        for (size_t i = t->copies.n; i-- > 0;)
                if (!t->copies.items[i].needed && !t->copies.items[i].installed)
                        drop_copy(t, i);
}

int retain_run(const SnapshotContext *c, Store *s, int64_t current, Error *e) {
        Retain t = { .c = c, .store = s, .current = current };
        uint64_t now = wall_usec(), age = (uint64_t)c->policy->keep_for_sec * 1000000;
        int r = begin(&t, e);

        for (size_t i = 0; r >= 0 && i < t.changes.n;) {
                const Change *a = &t.changes.items[i];
                bool many = t.changes.n - i > c->policy->keep, old = a->time_usec + age < now;

                r = (many || old) && !is_protected(&t, a) ? drop_change(&t, i, e) : 1;
                i += r == 1;
        }
        if (r >= 0) {
                drop_unneeded(&t);
                r = t.first.code;
                if (r < 0 && e)
                        *e = t.first;
        }
        end(&t);
        return r < 0 ? r : 0;
}

static bool fits(const Retain *t, uint64_t need) {
        struct statvfs v;

        return t->total + need <= t->c->policy->max_size && statvfs(t->c->state, &v) == 0 &&
               (uint64_t)v.f_bavail * v.f_frsize >= t->c->policy->min_free + need;
}

static int make_room(const SnapshotContext *c, Store *s, int64_t current, uint64_t need, bool changes,
                     Error *e) {
        Retain t = { .c = c, .store = s, .current = current };
        int r = begin(&t, e);

        if (r == 0 && !fits(&t, need))
                drop_unneeded(&t);
        for (size_t i = 0; r >= 0 && !fits(&t, need) && i < t.copies.n;)
                if (t.copies.items[i].needed)
                        i++;
                else
                        drop_copy(&t, i);
        for (size_t i = 0; r >= 0 && changes && !fits(&t, need) && i < t.changes.n;) {
                r = is_protected(&t, &t.changes.items[i]) ? 1 : drop_change(&t, i, e);
                i += r == 1;
                drop_unneeded(&t);
        }
        if (r >= 0)
                r = fits(&t, need)
                            ? 0
                            : error_set(e, -ENOSPC,
                                        "no room for %" PRIu64 " KiB more of copies (max_size %" PRIu64
                                        " MiB, min_free %" PRIu64 " MiB)",
                                        need >> 10, c->policy->max_size >> 20, c->policy->min_free >> 20);
        end(&t);
        return r;
}

int retain_room(const SnapshotContext *c, Store *s, int64_t current, uint64_t need, Error *e) {
        return make_room(c, s, current, need, true, e);
}

int retain_spare(const SnapshotContext *c, Store *s, int64_t current, uint64_t need, Error *e) {
        return make_room(c, s, current, need, false, e);
}

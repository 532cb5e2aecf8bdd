/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of the root's thin volume, by the commands of LVM, which report in JSON. */
#include "snapshot/lvm.h"
#include "base/command.h"
#include "base/macro.h"
#include "snapshot/carry.h"
#include "snapshot/mounted.h"
#include "snapshot/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#define TAG "staunch"
#define FIELDS                                                                                            \
        "lv_full_name,lv_name,lv_uuid,lv_dm_path,lv_path,segtype,pool_lv,origin,lv_tags,lv_attr,lv_size," \
        "data_percent,vg_name"
enum { COMMAND_USEC = 120000000, MAX_VOLUMES = 100000 };

static const char *member(const json_t *row, const char *key) {
        const char *s = json_string_value(json_object_get(row, key));

        return s ? s : "";
}

int lvm_parse(const char *text, size_t size, json_t **out, Error *e) {
        json_error_t bad;
        json_t *j = json_loadb(text, size, JSON_REJECT_DUPLICATES, &bad), *rows;
        const json_t *row;
        size_t i;

        if (!j)
                return error_set(e, -EPROTO, "lvs: line %d: %s", bad.line, bad.text);
        rows = json_object_get(json_array_get(json_object_get(j, "report"), 0), "lv");
        if (!json_is_array(rows) || json_array_size(rows) > MAX_VOLUMES) {
                json_decref(j);
                return error_set(e, -EPROTO, "lvs: no list of volumes in its report");
        }
        json_array_foreach(rows, i, row) {
                if (!*member(row, "lv_full_name") || !*member(row, "lv_uuid")) {
                        json_decref(j);
                        return error_set(e, -EPROTO, "lvs: volume %zu has no name or no UUID", i);
                }
        }
        *out = json_incref(rows);
        json_decref(j);
        return 0;
}

/* All volumes. */
static int volumes(json_t **out, Error *e) {
        static const char *const argv[] = { "lvs", "--all",      "--reportformat", "json", "--units",
                                            "b",   "--nosuffix", "--options",      FIELDS, NULL };
        static const char *const environment[] = { "LC_ALL=C", NULL };
        CommandResult result;
        int r = command_must(&(Command){ .argv = argv,
                                         .environment = environment,
                                         .timeout_usec = COMMAND_USEC,
                                         .output_max = 32 << 20 },
                             &result, e);

        if (r < 0)
                return r;
        r = lvm_parse(result.output ? result.output : "", result.n, out, e);
        command_result_free(&result);
        return r;
}

static int run(const char *const *argv, Error *e) {
        CommandResult result;
        int r = command_must(&(Command){ .argv = argv, .timeout_usec = COMMAND_USEC }, &result, e);

        if (r == 0)
                command_result_free(&result);
        return r;
}

/* A reference into `all`, or NULL. */
static const json_t *volume(const json_t *all, const char *key, const char *value) {
        const json_t *row;
        size_t i;

        json_array_foreach((json_t *)all, i, row) if (strcmp(member(row, key), value) == 0) return row;
        return NULL;
}

/* The root's volume: 0, or SNAPSHOT_ABSENT with the reason. *all is the caller's. */
static int root_volume(const SnapshotContext *c, json_t **all, const json_t **out, Error *e) {
        const json_t *row;
        Mounted m;
        int r = mounted_at(c->root, true, &m, e);

        *all = NULL;
        if (r == -ENOENT || (r == 0 && strncmp(m.source, "/dev/", 5) != 0)) {
                error_set(e, -ENOENT, "lvm: %s is not on a block device", c->root);
                return SNAPSHOT_ABSENT;
        }
        if (r == 0)
                r = volumes(all, e);
        if (r == -ENOENT) {
                error_set(e, -ENOENT, "lvm: its commands are not installed");
                return SNAPSHOT_ABSENT;
        }
        if (r < 0)
                return r;
        row = volume(*all, "lv_dm_path", m.source);
        if (!row)
                row = volume(*all, "lv_path", m.source);
        if (!row || strcmp(member(row, "segtype"), "thin") != 0) {
                error_set(e, -ENOENT, "lvm: %s is not a thin volume", m.source);
                return SNAPSHOT_ABSENT;
        }
        *out = row;
        return 0;
}

/* As root_volume, for who can't do without. */
static int need_root(const SnapshotContext *c, json_t **all, const json_t **out, Error *e) {
        int r = root_volume(c, all, out, e);

        return r > 0 ? -ENOENT : r;
}

static bool has_tag(const json_t *row) {
        const char *tags = member(row, "lv_tags");

        for (size_t n; *tags; tags += n + (tags[n] == ',')) {
                n = strcspn(tags, ",");
                if (n == strlen(TAG) && strncmp(tags, TAG, n) == 0)
                        return true;
        }
        return false;
}

static int available(const SnapshotContext *c, Error *e) {
        const json_t *root;
        json_t *all;
        int r = root_volume(c, &all, &root, e);

        json_decref(all);
        return r;
}

static int take(const SnapshotContext *c, const char *name, SnapshotMade *made, Error *e) {
        const json_t *root, *row;
        json_t *all, *after = NULL;
        char full[2 * SNAPSHOT_HANDLE];
        int r = need_root(c, &all, &root, e);

        if (r == 0) {
                snprintf(full, sizeof(full), "%s/%s", member(root, "vg_name"), name);
                r = strlen(full) < sizeof(made->handle) ? 0 : error_errno(e, -ENAMETOOLONG, "%s", full);
        }
        if (r == 0)
                r = run((const char *const[]){ "lvcreate", "--yes", "--snapshot", "--name", name, "--addtag",
                                               TAG, member(root, "lv_full_name"), NULL },
                        e);
        if (r == 0)
                r = volumes(&after, e);
        if (r == 0) {
                row = volume(after, "lv_full_name", full);
                if (!row)
                        r = error_set(e, -EPROTO, "lvcreate made no volume %s", full);
                else {
                        snprintf(made->handle, sizeof(made->handle), "%s", full);
                        snprintf(made->mark, sizeof(made->mark), "%s", member(row, "lv_uuid"));
                }
        }
        json_decref(after);
        json_decref(all);
        return r;
}

static int list(const SnapshotContext *c, void (*each)(void *, const SnapshotMade *), void *data, Error *e) {
        const json_t *row;
        json_t *all = NULL;
        size_t i;
        int r = volumes(&all, e);

        (void)c;
        if (r == 0)
                json_array_foreach(all, i, row) {
                        SnapshotMade m = { 0 };

                        if (!has_tag(row) || strlen(member(row, "lv_full_name")) >= sizeof(m.handle))
                                continue;
                        snprintf(m.handle, sizeof(m.handle), "%s", member(row, "lv_full_name"));
                        snprintf(m.mark, sizeof(m.mark), "%s", member(row, "lv_uuid"));
                        each(data, &m);
                }
        json_decref(all);
        return r;
}

/* Is it there, and the one that was made? */
static int check(const json_t *all, const SnapshotMade *m, const json_t **out, Error *e) {
        *out = volume(all, "lv_full_name", m->handle);
        if (!*out)
                return error_errno(e, -ENOENT, "%s", m->handle);
        if (!has_tag(*out) || strcmp(member(*out, "lv_uuid"), m->mark) != 0)
                return error_set(e, -ESTALE, "%s is not the snapshot that was made (its UUID or tag differs)",
                                 m->handle);
        return 0;
}

typedef struct Carried {
        const SnapshotContext *context;
        const char *device;
        Mounted root;
} Carried;

static int carry_at(void *data, const char *folder, Error *e) {
        const Carried *x = data;
        /* Root and snapshot have one UUID, and XFS takes no two of one. */
        const char *options = strcmp(x->root.type, "xfs") == 0 ? "nouuid" : NULL;
        int r;

        if (mount(x->device, folder, x->root.type, MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
                return error_errno(e, -errno, "mount %s", x->device);
        r = carry_state(x->context, folder, e);
        if (umount2(folder, 0) < 0 && r == 0) /* and all of it is written */
                r = error_errno(e, -errno, "unmount %s", x->device);
        return r;
}

/* Into the snapshot, before it becomes the root. `row`: the snapshot's. */
static int carry(const SnapshotContext *c, const json_t *row, Error *e) {
        Carried x = { .context = c, .device = member(row, "lv_dm_path") };
        int r = carry_needed(c, e);

        if (r <= 0)
                return r;
        r = mounted_at(c->root, true, &x.root, e);
        /* Snapshots are left out when their group is activated, unless they are asked for so. */
        if (r == 0)
                r = run((const char *const[]){ "lvchange", "--activate", "y", "--ignoreactivationskip",
                                               member(row, "lv_full_name"), NULL },
                        e);
        return r < 0 ? r : carry_apart(carry_at, &x, e);
}

static int rollback(const SnapshotContext *c, const SnapshotMade *m, const char *name, Error *e) {
        const json_t *root, *row;
        json_t *all;
        int r = need_root(c, &all, &root, e);

        (void)name;
        /* 'O': a merge into the root begins at its next activation already. */
        if (r == 0 && member(root, "lv_attr")[0] == 'O') {
                json_decref(all);
                return SNAPSHOT_REBOOT;
        }
        if (r == 0)
                r = check(all, m, &row, e);
        if (r == -ENOENT) { /* a merge that is over deletes it */
                json_decref(all);
                return 0;
        }
        if (r == 0 && strcmp(member(root, "lv_name"), member(row, "origin")) != 0)
                r = error_set(e, -ESTALE, "%s is a snapshot of %s, and the root is %s", m->handle,
                              member(row, "origin"), member(root, "lv_full_name"));
        if (r == 0)
                r = carry(c, row, e);
        if (r == 0)
                r = run((const char *const[]){ "lvconvert", "--yes", "--merge", m->handle, NULL }, e);
        json_decref(all);
        return r < 0 ? r : SNAPSHOT_REBOOT;
}

static int drop(const SnapshotContext *c, const SnapshotMade *m, Error *e) {
        const json_t *row;
        json_t *all = NULL;
        int r = volumes(&all, e);

        (void)c;
        if (r == 0)
                r = check(all, m, &row, e);
        if (r == 0)
                r = run((const char *const[]){ "lvremove", "--yes", m->handle, NULL }, e);
        json_decref(all);
        return r;
}

static int space(const SnapshotContext *c, SnapshotSpace *out, Error *e) {
        const json_t *root, *pool;
        char full[2 * SNAPSHOT_HANDLE];
        json_t *all;
        int r = need_root(c, &all, &root, e);
        double used;

        if (r == 0) {
                snprintf(full, sizeof(full), "%s/%s", member(root, "vg_name"), member(root, "pool_lv"));
                pool = volume(all, "lv_full_name", full);
                r = pool ? 0 : error_set(e, -ENOENT, "lvm: there is no pool %s", full);
        }
        if (r == 0) {
                out->total = strtoull(member(pool, "lv_size"), NULL, 10);
                used = strtod(member(pool, "data_percent"), NULL);
                out->free =
                        used >= 0 && used <= 100 ? (uint64_t)((double)out->total * (100 - used) / 100) : 0;
        }
        json_decref(all);
        return r;
}

const SnapshotProvider snapshot_lvm = { "lvm", available, take, list, rollback, drop, space };

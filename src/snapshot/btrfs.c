/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of the root's btrfs subvolume, in a folder of it. */
#include "base/macro.h"
#include "snapshot/carry.h"
#include "snapshot/mounted.h"
#include "snapshot/snapshot.h"

#include <btrfsutil.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define FOLDER ".staunch-snapshots"
enum { TOP_ID = 5 };

/* libbtrfsutil leaves the system's reason in errno. */
static int failed(enum btrfs_util_error code, Error *e, const char *what) {
        return error_errno(e, errno ? -errno : -EIO, "btrfs: %s (%s)", what, btrfs_util_strerror(code));
}

static int path_of(const SnapshotContext *c, const char *handle, char out[PATH_MAX], Error *e) {
        if (!handle[0] || strchr(handle, '/') || handle[0] == '.')
                return error_set(e, -EINVAL, "btrfs: '%s' is no snapshot's name", handle);
        if (snprintf(out, PATH_MAX, "%s/" FOLDER "/%s", c->root, handle) >= PATH_MAX)
                return error_errno(e, -ENAMETOOLONG, "%s", handle);
        return 0;
}

static int mark_of(const char *path, char mark[SNAPSHOT_MARK], Error *e) {
        struct btrfs_util_subvolume_info info;
        enum btrfs_util_error code = btrfs_util_subvolume_info(path, 0, &info);

        if (code)
                return failed(code, e, path);
        for (size_t i = 0; i < sizeof(info.uuid); i++)
                snprintf(mark + 2 * i, 3, "%02x", info.uuid[i]);
        return 0;
}

/* Is what is there the snapshot that was made? Its path, or an error. */
static int find(const SnapshotContext *c, const SnapshotMade *m, char path[PATH_MAX], Error *e) {
        char mark[SNAPSHOT_MARK];
        int r = path_of(c, m->handle, path, e);

        if (r == 0 && access(path, F_OK) < 0)
                return error_errno(e, -errno, "%s", path);
        if (r == 0)
                r = mark_of(path, mark, e);
        if (r == 0 && strcmp(mark, m->mark) != 0)
                return error_set(e, -ESTALE, "%s is not the snapshot that was made (its UUID differs)", path);
        return r;
}

static int available(const SnapshotContext *c, Error *e) {
        Mounted m;
        int r = mounted_at(c->root, false, &m, e);

        if (r == -ENOENT || (r == 0 && strcmp(m.type, "btrfs") != 0)) {
                error_set(e, -ENOENT, "btrfs: %s is not a btrfs mount", c->root);
                return SNAPSHOT_ABSENT;
        }
        return r;
}

static int take(const SnapshotContext *c, const char *name, SnapshotMade *made, Error *e) {
        char path[PATH_MAX], folder[PATH_MAX];
        enum btrfs_util_error code;
        int r = path_of(c, name, path, e);

        if (r < 0)
                return r;
        snprintf(folder, sizeof(folder), "%s/" FOLDER, c->root);
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return error_errno(e, -errno, "%s", folder);
        code = btrfs_util_create_snapshot(c->root, path, BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY, NULL, NULL);
        if (code)
                return failed(code, e, path);
        r = mark_of(path, made->mark, e);
        if (r < 0) {
                btrfs_util_delete_subvolume(path, 0);
                return r;
        }
        snprintf(made->handle, sizeof(made->handle), "%s", name);
        return 0;
}

static int list(const SnapshotContext *c, void (*each)(void *, const SnapshotMade *), void *data, Error *e) {
        char folder[PATH_MAX], path[PATH_MAX];
        struct dirent *d;
        DIR *dir;
        int r = 0;

        snprintf(folder, sizeof(folder), "%s/" FOLDER, c->root);
        dir = opendir(folder);
        if (!dir)
                return errno == ENOENT ? 0 : error_errno(e, -errno, "%s", folder);
        while (r == 0 && (d = readdir(dir))) {
                SnapshotMade m = { 0 };

                if (strncmp(d->d_name, "staunch-", 8) != 0 || strlen(d->d_name) >= sizeof(m.handle) ||
                    path_of(c, d->d_name, path, NULL) < 0 || btrfs_util_is_subvolume(path) != BTRFS_UTIL_OK)
                        continue;
                snprintf(m.handle, sizeof(m.handle), "%s", d->d_name);
                r = mark_of(path, m.mark, e);
                if (r == 0)
                        each(data, &m);
        }
        closedir(dir);
        return r;
}

static int drop(const SnapshotContext *c, const SnapshotMade *m, Error *e) {
        char path[PATH_MAX];
        enum btrfs_util_error code;
        int r = find(c, m, path, e);

        if (r < 0)
                return r;
        code = btrfs_util_delete_subvolume(path, 0);
        return code ? failed(code, e, path) : 0;
}

static int space(const SnapshotContext *c, SnapshotSpace *out, Error *e) {
        struct statvfs v;

        if (statvfs(c->root, &v) < 0)
                return error_errno(e, -errno, "%s", c->root);
        *out = (SnapshotSpace){ .free = (uint64_t)v.f_bavail * v.f_frsize,
                                .total = (uint64_t)v.f_blocks * v.f_frsize };
        return 0;
}

/* `top`: the whole file system is mounted there. */
static int swap(const SnapshotContext *c, const char *top, const char *snapshot, const char *name, Error *e) {
        uint64_t root_id = 0, standard = 0, new_id = 0;
        char root[PATH_MAX], aside[PATH_MAX];
        _cleanup_(freep) char *path = NULL;
        enum btrfs_util_error code = btrfs_util_subvolume_id(c->root, &root_id);
        int r;

        if (!code)
                code = btrfs_util_get_default_subvolume(c->root, &standard);
        if (!code && root_id != TOP_ID)
                code = btrfs_util_subvolume_path(top, root_id, &path);
        if (code)
                return failed(code, e, c->root);
        snprintf(root, sizeof(root), "%s/%s", top, path ? path : "");
        snprintf(aside, sizeof(aside), "%s/%s", top, name);
        if (path && strchr(path, '/') == NULL && strncmp(path, "staunch-", 8) == 0)
                return SNAPSHOT_REBOOT; /* the running root has been put aside already */
        if (root_id == TOP_ID && standard != TOP_ID)
                return SNAPSHOT_REBOOT; /* the same, where nothing can be put aside */
        if (access(aside, F_OK) == 0) { /* begun, and cut off before it took the root's place */
                code = btrfs_util_delete_subvolume(aside, 0);
                if (code)
                        return failed(code, e, aside);
        }
        code = btrfs_util_create_snapshot(snapshot, aside, 0, NULL, NULL);
        if (!code)
                code = btrfs_util_subvolume_id(aside, &new_id);
        if (code)
                return failed(code, e, aside);
        r = carry_state(c, aside, e);
        if (r < 0)
                return r;
        code = btrfs_util_sync(aside);
        if (code)
                return failed(code, e, aside);
        if (path && renameat2(AT_FDCWD, aside, AT_FDCWD, root, RENAME_EXCHANGE) < 0)
                return error_errno(e, -errno, "%s takes the place of %s", name, path);
        if (standard == root_id) {
                code = btrfs_util_set_default_subvolume(top, new_id);
                if (code)
                        return failed(code, e, "set the default subvolume");
        }
        code = btrfs_util_sync(top);
        return code ? failed(code, e, root) : SNAPSHOT_REBOOT;
}

/* A root that is mounted by its number would be the old one again. */
static int check_by_name(const SnapshotContext *c, Error *e) {
        char fstab[PATH_MAX], line[4096];
        const char *const files[] = { "/proc/cmdline", fstab };
        bool by_number = false;

        snprintf(fstab, sizeof(fstab), "%s/etc/fstab", c->root);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                FILE *f = fopen(files[i], "re");

                while (f && fgets(line, sizeof(line), f))
                        by_number |= line[0] != '#' && strstr(line, "subvolid=") != NULL;
                if (f)
                        fclose(f);
        }
        return by_number ? error_set(e, -ENOTSUP,
                                     "a file system is mounted by subvolid= (in /proc/cmdline or %s); mount "
                                     "it by "
                                     "subvol= instead, or roll back by hand",
                                     fstab)
                         : 0;
}

typedef struct Swap {
        const SnapshotContext *context;
        const char *snapshot, *name;
} Swap;

static int swap_at(void *data, const char *folder, Error *e) {
        const Swap *s = data;
        Mounted m;
        int r = mounted_at(s->context->root, false, &m, e);

        if (r == 0)
                r = check_by_name(s->context, e);
        if (r < 0)
                return r;
        if (mount(m.source, folder, "btrfs", MS_NOSUID | MS_NODEV, "subvolid=5") < 0)
                return error_errno(e, -errno, "mount %s", m.source);
        return swap(s->context, folder, s->snapshot, s->name, e);
}

/* Did the root come from the snapshot? Then it is in force. */
static bool in_force(const SnapshotContext *c, const SnapshotMade *m) {
        struct btrfs_util_subvolume_info info;
        char parent[SNAPSHOT_MARK] = "";

        if (btrfs_util_subvolume_info(c->root, 0, &info))
                return false;
        for (size_t i = 0; i < sizeof(info.parent_uuid); i++)
                snprintf(parent + 2 * i, 3, "%02x", info.parent_uuid[i]);
        return strcmp(parent, m->mark) == 0;
}

static int rollback(const SnapshotContext *c, const SnapshotMade *m, const char *name, Error *e) {
        char path[PATH_MAX];
        int r;

        if (in_force(c, m))
                return 0;
        r = find(c, m, path, e);
        if (r < 0)
                return r;
        return carry_apart(swap_at, &(Swap){ .context = c, .snapshot = path, .name = name }, e);
}

const SnapshotProvider snapshot_btrfs = { "btrfs", available, take, list, rollback, drop, space };

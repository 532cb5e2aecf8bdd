/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/keep.h"
#include "base/clock.h"
#include "base/command.h"
#include "base/macro.h"
#include "snapshot/hash.h"
#include "snapshot/rebuild.h"
#include "snapshot/retain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { ASK_USEC = 20000000 };

const char *keep_path(const SnapshotContext *c, Arena *a, const char *file) {
        return arena_printf(a, "%s/debs/%s", c->state, file);
}

int keep_check(const SnapshotContext *c, const StorePackage *p, Error *e) {
        char path[PATH_MAX], have[2 * HASH_MAX + 1];
        int r;

        if (!p->file[0])
                return error_set(e, -ENOENT, "%s %s: there is no copy", p->name, p->old_version);
        if (strchr(p->file, '/') || snprintf(path, sizeof(path), "%s/debs/%s", c->state, p->file) >= PATH_MAX)
                return error_set(e, -EINVAL, "%s: not the name of a copy", p->file);
        r = hash_file(path, HASH_SHA256, have, e);
        if (r == 0 && strcmp(have, p->sha256) != 0)
                return error_set(e, -ESTALE, "%s is not the copy that was made (its SHA-256 differs)", path);
        return r;
}

/* Does the file say that it is this package? */
static bool is_package(const char *file, const char *name, const char *version, const char *arch) {
        const char *const argv[] = { "dpkg-deb", "--showformat", "${Package} ${Version} ${Architecture}",
                                     "--show",   file,           NULL };
        CommandResult out = { 0 };
        char want[1024];
        bool same;

        snprintf(want, sizeof(want), "%s %s %s", name, version, arch);
        same = command_must(&(Command){ .argv = argv, .timeout_usec = ASK_USEC }, &out, NULL) == 0 &&
               out.output && strcmp(out.output, want) == 0;
        command_result_free(&out);
        return same;
}

static int copy_bytes(const char *from, const char *to, Error *e) {
        _cleanup_(closep) int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
        char temporary[PATH_MAX + 8];
        ssize_t n;
        int r = 0;

        if (in < 0)
                return error_errno(e, -errno, "%s", from);
        snprintf(temporary, sizeof(temporary), "%s.new", to);
        out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (out < 0)
                return error_errno(e, -errno, "%s", temporary);
        while ((n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0)) > 0)
                ;
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
                char bytes[1 << 16];

                while ((n = read(in, bytes, sizeof(bytes))) > 0 && write(out, bytes, (size_t)n) == n)
                        ;
        }
        if (n != 0)
                r = error_errno(e, n > 0 ? -ENOSPC : -errno, "%s", to);
        if (r == 0 && (fsync(out) < 0 || rename(temporary, to) < 0))
                r = error_errno(e, -errno, "%s", to);
        if (r < 0)
                unlink(temporary);
        return r;
}

/* A second name for the file costs nothing; what lies on another file system is copied. */
static int take_file(const char *from, const char *to, Error *e) {
        _cleanup_(closep) int fd = -1;

        if (link(from, to) < 0)
                return errno == EEXIST ? 0 : copy_bytes(from, to, e);
        fd = open(to, O_RDONLY | O_CLOEXEC);
        return fd >= 0 && fsync(fd) == 0 ? 0 : error_errno(e, -errno, "%s", to);
}

static uint64_t size_of(const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/* Puts the copy of the old version to `to`: from where it is, or made. *origin says which. */
static int find_old(const SnapshotContext *c, Store *s, int64_t change, const DpkgChange *p, Arena *a,
                    const char *to, uint64_t until_usec, const char **origin, Error *e) {
        const char *file = dpkg_file_name(a, p->name, p->old_version, p->arch), *from;
        int r;

        *origin = "kept";
        if (access(to, F_OK) == 0 && is_package(to, p->name, p->old_version, p->arch))
                return 0;
        from = arena_printf(a, "%s%s/%s", strcmp(c->root, "/") == 0 ? "" : c->root, KEEP_ARCHIVES, file);
        if (size_of(from) && is_package(from, p->name, p->old_version, p->arch)) {
                *origin = "archive";
                if (unlink(to) < 0 && errno != ENOENT)
                        return error_errno(e, -errno, "%s", to);
                r = retain_room(c, s, change, size_of(from), e);
                return r < 0 ? r : take_file(from, to, e);
        }
        *origin = "rebuilt";
        r = retain_room(c, s, change, 0, e);
        return r < 0 ? r : rebuild_package(c->root, p->name, p->arch, p->old_version, to, until_usec, e);
}

static int keep_old(const SnapshotContext *c, Store *s, int64_t change, const DpkgChange *p, Arena *a,
                    uint64_t until_usec, Error *e) {
        const char *file = dpkg_file_name(a, p->name, p->old_version, p->arch), *to = keep_path(c, a, file);
        char sha256[2 * HASH_MAX + 1];
        StorePackage copy = { .change = change, .name = p->name, .arch = p->arch };
        int r = find_old(c, s, change, p, a, to, until_usec, &copy.origin, e);

        if (r == 0)
                r = hash_file(to, HASH_SHA256, sha256, e);
        if (r < 0)
                return r;
        copy.file = file;
        copy.sha256 = sha256;
        copy.bytes = size_of(to);
        r = store_set_copy(s, &copy, e);
        if (r == 0) /* how big a rebuilt one is, is known only now */
                r = retain_room(c, s, change, 0, e);
        if (r == -ENOSPC) {
                unlink(to);
                store_set_copy(s, &(StorePackage){ .change = change, .name = p->name, .arch = p->arch },
                               NULL);
        }
        return r;
}

/* The new version's file, for the day on which it is the old one. That there is no room for it is no failure.
 */
static void keep_new(const SnapshotContext *c, Store *s, int64_t change, const DpkgChange *p, Arena *a) {
        const char *to = keep_path(c, a, dpkg_file_name(a, p->name, p->new_version, p->arch));

        if (access(to, F_OK) == 0 || !size_of(p->file) ||
            retain_spare(c, s, change, size_of(p->file), NULL) < 0)
                return;
        take_file(p->file, to, NULL);
}

static int sync_folder(const char *folder, Error *e) {
        _cleanup_(closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd >= 0 && fsync(fd) == 0 ? 0 : error_errno(e, -errno, "%s", folder);
}

int keep_change(const SnapshotContext *c, Store *s, int64_t change, const DpkgChange *changes, size_t n,
                uint64_t until_usec, Error *e) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        const char *folder = keep_path(c, a, "");
        Error first = { 0 };
        int r;

        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return error_errno(e, -errno, "%s", folder);
        for (size_t i = 0; i < n; i++) {
                Error why = { 0 };

                if (!changes[i].old_version[0])
                        continue;
                if (now_usec() >= until_usec)
                        r = error_set(&why, -ETIME, "no time was left");
                else
                        r = keep_old(c, s, change, &changes[i], a, until_usec, &why);
                if (r < 0 && !first.code)
                        error_set(&first, r, "%s %s: %s", changes[i].name, changes[i].old_version, why.text);
        }
        r = sync_folder(folder, e);
        if (r == 0)
                r = store_set_change(s, change, first.code == 0, first.text, e);
        for (size_t i = 0; r == 0 && i < n && now_usec() < until_usec; i++)
                if (changes[i].file[0] && changes[i].new_version[0])
                        keep_new(c, s, change, &changes[i], a);
        if (r < 0)
                return r;
        if (first.code && e)
                *e = first;
        return first.code ? 1 : 0;
}

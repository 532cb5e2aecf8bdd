/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/package.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/usrmerge.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LIST = 64 << 20 };

static bool has_line(const FileBytes *f, const char *line) {
        size_t n = strlen(line);
        const char *at = (const char *)f->bytes, *end = at + f->size;

        while (at && (size_t)(end - at) >= n) {
                if (memcmp(at, line, n) == 0 && (at + n == end || at[n] == '\n'))
                        return true;
                at = memchr(at, '\n', (size_t)(end - at));
                at += at != NULL;
        }
        return false;
}

bool package_of(const char *info, const char *path, char *name, size_t size) {
        char other[PATH_MAX], file[PATH_MAX];
        bool two = usrmerge_other(path, other, sizeof(other)), found = false;
        DIR *dir = opendir(info);
        struct dirent *d;

        while (dir && !found && (d = readdir(dir))) {
                size_t n = strlen(d->d_name), k;
                FileBytes f = { 0 };

                if (n <= 5 || strcmp(d->d_name + n - 5, ".list") != 0)
                        continue;
                snprintf(file, sizeof(file), "%s/%s", info, d->d_name);
                if (file_read(file, MAX_LIST, &f, NULL) < 0)
                        continue;
                k = strcspn(d->d_name, ":");
                k = MIN(k, n - 5); /* "libc6:amd64.list" */
                found = k < size && (has_line(&f, path) || (two && has_line(&f, other)));
                if (found)
                        snprintf(name, size, "%.*s", (int)k, d->d_name);
                file_release(&f);
        }
        if (dir)
                closedir(dir);
        return found;
}

static bool is_locked(const char *path) {
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        _cleanup_(closep) int fd = open(path, O_RDWR | O_CLOEXEC);

        return fd >= 0 && fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

bool package_changes(void) {
        return is_locked("/var/lib/dpkg/lock-frontend") || is_locked("/var/lib/dpkg/lock");
}

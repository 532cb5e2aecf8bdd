/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int file_open_regular(int dir, const char *path, uint64_t resolve) {
        struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = resolve };
        _cleanup_(closep) int at = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
        char name[64];
        struct stat st;
        int fd;

        if (at < 0 || fstat(at, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (st.st_size == 0)
                return -ENODATA;
        snprintf(name, sizeof(name), "/proc/self/fd/%d", at);
        fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

int file_read_fd(int fd, const char *name, size_t limit, FileBytes *out, Error *e) {
        struct stat st;
        uint8_t *p;
        size_t at = 0;

        if (fstat(fd, &st) < 0)
                return error_errno(e, -errno, "%s", name);
        if (S_ISDIR(st.st_mode))
                return error_set(e, -EISDIR, "%s: is a directory", name);
        if (!S_ISREG(st.st_mode))
                return error_set(e, -EINVAL, "%s: not a regular file", name);
        if ((uint64_t)st.st_size > limit)
                return error_set(e, -EFBIG, "%s: larger than the limit of %zu bytes", name, limit);
        if (st.st_size == 0)
                return error_set(e, -ENODATA, "%s: empty file", name);
        p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return error_errno(e, -errno, "%s: memory for %lld bytes", name, (long long)st.st_size);
        while (at < (size_t)st.st_size) {
                ssize_t n = pread(fd, p + at, (size_t)st.st_size - at, (off_t)at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        int r = n < 0 ? -errno : -EIO;

                        munmap(p, (size_t)st.st_size);
                        return error_errno(e, r, "%s: read at %zu", name, at);
                }
                at += (size_t)n;
        }
        *out = (FileBytes){ .bytes = p, .size = (size_t)st.st_size };
        return 0;
}

int file_read(const char *path, size_t limit, FileBytes *out, Error *e) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return error_errno(e, -errno, "%s", path);
        return file_read_fd(fd, path, limit, out, e);
}

int file_dup(const void *bytes, size_t size, FileBytes *out, Error *e) {
        uint8_t *p;

        if (size == 0) {
                *out = (FileBytes){ 0 };
                return 0;
        }
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return error_errno(e, -errno, "memory for %zu bytes", size);
        memcpy(p, bytes, size);
        *out = (FileBytes){ .bytes = p, .size = size };
        return 0;
}

void file_release(FileBytes *f) {
        if (f->bytes)
                munmap((void *)f->bytes, f->size);
        *f = (FileBytes){ 0 };
}

int file_write_atomic(const char *path, const void *bytes, size_t size, Error *e) {
        _cleanup_(freep) char *temporary = NULL;
        _cleanup_(closep) int fd = -1;
        size_t at = 0;
        int r;

        if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
                return error_errno(e, -ENOMEM, "%s", path);
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return error_errno(e, -errno, "%s", path);
        while (at < size) {
                ssize_t n = write(fd, (const uint8_t *)bytes + at, size - at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        r = error_errno(e, -errno, "%s: write", path);
                        goto fail;
                }
                at += (size_t)n;
        }
        if (fchmod(fd, 0644) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
                r = error_errno(e, -errno, "%s", path);
                goto fail;
        }
        return 0;
fail:
        unlink(temporary);
        return r;
}

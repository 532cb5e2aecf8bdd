/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/read.h"
#include "base/file.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <zlib.h>

int root_open_dir(const char *root, Error *e) {
        int fd = open(root && *root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? error_errno(e, -errno, "%s", root) : fd;
}

int root_open_folder(int root, const char *path, Error *e) {
        struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
        int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

        if (fd >= 0)
                return fd;
        return errno == ENOENT || errno == ENOTDIR ? -ENOENT : error_errno(e, -errno, "%s", path);
}

int root_open_path(int root, const char *path, Error *e) {
        int fd = file_open_regular(root, path, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

        if (fd >= 0)
                return fd;
        if (fd == -EINVAL)
                return error_set(e, fd, "%s: not a regular file", path);
        return fd == -ENOENT || fd == -ENOTDIR || fd == -ENODATA ? -ENOENT : error_errno(e, fd, "%s", path);
}

/* gzip, or zlib's two bytes: deflate with a window of at most 32 KiB, and the check of both. */
static bool is_compressed(const FileBytes *f) {
        const uint8_t *b = f->bytes;

        return f->size > 2 && ((b[0] == 0x1f && b[1] == 0x8b) ||
                               ((b[0] & 0x8f) == 0x08 && ((unsigned)b[0] * 256 + b[1]) % 31 == 0));
}

static int inflate_to(z_stream *z, const char *name, size_t limit, uint8_t **out, size_t *n, Error *e) {
        size_t room = 0;
        int code = Z_OK;

        while (code == Z_OK || (code == Z_STREAM_END && z->avail_in)) {
                if (code == Z_STREAM_END && inflateReset(z) != Z_OK) /* another member of a gzip file */
                        break;
                if (*n == room) {
                        uint8_t *bytes;

                        if (room > limit)
                                return error_set(e, -EFBIG, "%s: more than %zu bytes when it is inflated",
                                                 name, limit);
                        room = room ? room * 2 : 65536;
                        bytes = realloc(*out, room);
                        if (!bytes)
                                return error_errno(e, -ENOMEM, "%s", name);
                        *out = bytes;
                }
                z->next_out = *out + *n;
                z->avail_out = (uInt)MIN(room - *n, (size_t)UINT_MAX);
                code = inflate(z, Z_NO_FLUSH);
                *n = (size_t)(z->next_out - *out);
        }
        if (code != Z_STREAM_END)
                return error_set(e, -EBADMSG, "%s: compressed data that is damaged or cut short", name);
        return *n > limit ? error_set(e, -EFBIG, "%s: more than %zu bytes when it is inflated", name, limit)
                          : 0;
}

int inflate_bytes(const char *name, FileBytes *file, size_t limit, Error *e) {
        _cleanup_(freep) uint8_t *out = NULL;
        z_stream z = { 0 };
        size_t n = 0;
        int r;

        if (!is_compressed(file))
                return 0;
        if (file->size > UINT_MAX || inflateInit2(&z, MAX_WBITS + 32) != Z_OK) {
                file_release(file);
                return error_errno(e, -ENOMEM, "%s", name);
        }
        z.next_in = (Bytef *)(uintptr_t)file->bytes;
        z.avail_in = (uInt)file->size;
        r = inflate_to(&z, name, limit, &out, &n, e);
        inflateEnd(&z);
        file_release(file);
        return r < 0 ? r : file_dup(out, n, file, e);
}

int root_read(int root, const char *path, size_t limit, FileBytes *out, Error *e) {
        _cleanup_(closep) int fd = root_open_path(root, path, e);
        int r = fd < 0 ? fd : file_read_fd(fd, path, limit, out, e);

        return r < 0 ? r : inflate_bytes(path, out, limit, e);
}

bool lines_next(Lines *l, const char **line, size_t *n) {
        const char *newline;

        if (!l->at || l->at >= l->end)
                return false;
        newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
        *line = l->at;
        *n = (size_t)((newline ? newline : l->end) - l->at);
        l->at = newline ? newline + 1 : l->end;
        if (*n && (*line)[*n - 1] == '\r')
                --*n;
        return true;
}

const char *read_setting(const FileBytes *text, const char *key, Arena *a) {
        Lines lines = lines_of(text);
        const char *line;
        size_t n, k = strlen(key);

        while (lines_next(&lines, &line, &n)) {
                if (n <= k || memcmp(line, key, k) != 0 || line[k] != '=')
                        continue;
                line += k + 1;
                n -= k + 1;
                if (n >= 2 && (*line == '"' || *line == '\'') && line[n - 1] == *line) {
                        line++;
                        n -= 2;
                }
                return n && n < 4096 ? arena_printf(a, "%.*s", (int)n, line) : NULL;
        }
        return NULL;
}

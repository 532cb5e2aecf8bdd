/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* A file's content in memory, read-only. Files over `limit` bytes are refused (-EFBIG). */
typedef struct FileBytes {
        const uint8_t *bytes;
        size_t size;
} FileBytes;

/*
 * Opens for reading only what is a regular file, by openat2(2) with these RESOLVE_ flags. Other people's
 * paths may lead to a device that acts when it is opened (a watchdog, a tape), to a FIFO that somebody waits
 * at, or to a file of the kernel, without a size, that acts when it is read: those are not touched. A
 * descriptor, -EINVAL for anything else than a regular file, -ENODATA for one of 0 bytes, or -errno.
 */
int file_open_regular(int dir, const char *path, uint64_t resolve);

/* Maps privately; a file that shrinks while it is mapped is copied instead (packages are replaced
 * by rename, never truncated, so that does not happen to a well-behaved updater; to be independent
 * of behaviour the content is always copied into anonymous memory). */
int file_read(const char *path, size_t limit, FileBytes *out, Error *e);
int file_read_fd(int fd, const char *name, size_t limit, FileBytes *out, Error *e);
/* A copy of bytes that are in memory already. */
int file_dup(const void *bytes, size_t size, FileBytes *out, Error *e);
void file_release(FileBytes *f);

/* Writes all bytes to a new temporary file beside `path`, fsyncs, renames it over `path`. */
int file_write_atomic(const char *path, const void *bytes, size_t size, Error *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/file.h"

#include <stdbool.h>

/* Reading the text files of a machine's package manager below a root folder. */

/* A descriptor of the root folder ("" or NULL: "/"), to be closed. */
int root_open_dir(const char *root, Error *e);
/* Open a folder, or a regular file, below it for reading; no link, absolute ones included, leads out of it.
 * -ENOENT without a text in `e`, as for what is often not there, or is empty. */
int root_open_folder(int root, const char *path, Error *e);
int root_open_path(int root, const char *path, Error *e);
/* As root_open_path(), and reads it. What is compressed by gzip or zlib comes out inflated; `limit` holds for
 * both forms. */
int root_read(int root, const char *path, size_t limit, FileBytes *out, Error *e);
/* Inflates bytes that are gzip or zlib data, replaces them; leaves others as they are. `file` is released on
 * failure. */
int inflate_bytes(const char *name, FileBytes *file, size_t limit, Error *e);

/* Lines of a text, one after another. */
typedef struct Lines {
        const char *at, *end;
} Lines;
static inline Lines lines_of(const FileBytes *f) {
        return (Lines){ (const char *)f->bytes, (const char *)f->bytes + f->size };
}
/* The next line without its newline (and a carriage return before it); false at the end. */
bool lines_next(Lines *l, const char **line, size_t *n);
/* The value of "KEY=value" or "KEY='value'" in a file of the shell's form; NULL: it is not set. */
const char *read_setting(const FileBytes *text, const char *key, Arena *a);

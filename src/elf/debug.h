/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "elf/image.h"

/*
 * Finds the debug information of an image: `explicit_path` when given (its build-id must match),
 * else in the image itself, else .build-id/xx/yyy.debug and .gnu_debuglink under
 * /usr/lib/debug (and beside the image), else debuginfod when DEBUGINFOD_URLS is set
 * and no server has kept silent before (DEBUGINFOD_TIMEOUT).
 * `root` ("" for none) is put before the absolute directories.
 * Returns 0 and a path in *path (malloc'ed; the caller frees); positive DEBUG_NONE when there is none.
 */
enum { DEBUG_NONE = 1 };
int debug_find(const Image *image, const char *explicit_path, const char *root, char **path, Error *e);

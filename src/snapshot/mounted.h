/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>

/* What is mounted at a folder, as /proc/self/mounts says it. */
typedef struct Mounted {
        char source[PATH_MAX], type[64], options[4096];
} Mounted;

/* The mount whose mount point is `path` itself, or (`inside`) the one that it lies in. -ENOENT: none. */
int mounted_at(const char *path, bool inside, Mounted *out, Error *e);

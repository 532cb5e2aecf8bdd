/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdint.h>

/*
 * Makes a .deb of an installed package from its files: control file, maintainer scripts and files as they are
 * on disk. Configuration files that were changed or deleted are left out, so that installing it leaves those
 * on disk alone. `root`: where its files are ("/"). `until_usec` (now_usec): later than that it gives up
 * (-ETIME); 0: never. The file is written in whole or not at all, and is on disk when this returns.
 */
int rebuild_package(const char *root, const char *name, const char *arch, const char *version,
                    const char *path, uint64_t until_usec, Error *e);

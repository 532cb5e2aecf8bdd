/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The name of the dpkg package that owns `path` (without architecture), from the lists below `info`
 * (PACKAGE_INFO). A path counts in both its forms where /usr is merged: /lib/x and /usr/lib/x. False when no
 * package owns it.
 */
#define PACKAGE_INFO "/var/lib/dpkg/info"
bool package_of(const char *info, const char *path, char *name, size_t size);

/* Is a package manager at work? Then images of one update may be new in part. apt holds the first lock for
 * all its runs of dpkg; dpkg by itself holds both. */
bool package_changes(void);

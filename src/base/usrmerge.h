/* SPDX-License-Identifier: Apache-2.0 */
/* Where /usr is merged, /bin, /sbin and /lib* are links into /usr, and package managers list a file by one of
 * its two paths: https://wiki.debian.org/UsrMerge */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The other path of a file below one of these folders; false when it has none, or `out` has no room for it.
 */
bool usrmerge_other(const char *path, char *out, size_t size);

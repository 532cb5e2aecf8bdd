/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The order of Debian package versions: [epoch:]upstream[-revision], Debian Policy 5.6.12. Any text can be
 * compared; one that is no version has its place in the order too, but version_valid() says that it is none.
 */
int version_compare(const char *a, const char *b);
bool version_valid(const char *v);
/* The version of the source that a binary rebuild is of: "1.2-3" for "1.2-3+b1". Returns the length of that
 * part of `v`. */
size_t version_source_length(const char *v);

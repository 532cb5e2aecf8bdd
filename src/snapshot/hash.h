/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* MD5 is what dpkg keeps of configuration files; it guards nothing here. */
typedef enum HashKind { HASH_MD5, HASH_SHA256 } HashKind;

enum { HASH_MAX = 32 }; /* bytes */
/* Lower-case hex digits of a file's hash. */
int hash_file(const char *path, HashKind kind, char out[2 * HASH_MAX + 1], Error *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 32 };

int digest_sha256(const void *bytes, size_t size, uint8_t out[DIGEST_SIZE], Error *e);
/* Lower-case hex. */
const char *digest_text(const uint8_t digest[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1]);

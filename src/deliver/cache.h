/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/compare.h"

/*
 * Comparisons that were made before: DIR/pairs/OLD-NEW-WHAT.json and the patches, DIR/patches/DIGEST.spatch.
 * A pair is compared once a machine, not once a round. WHAT tells apart what was accepted and by which
 * version of the program it was judged, so that a better judge is asked again. Losing the cache costs time
 * only.
 */

/* 0: found; positive: not there (or not readable as such, which is the same). */
enum { CACHE_ABSENT = 1 };
int cache_get(const char *dir, const BuildId *old_id, const BuildId *new_id, const bool accepted[REFUSAL_N],
              Comparison *out);
int cache_put(const char *dir, const Comparison *c, const bool accepted[REFUSAL_N], Error *e);
/* The file name of a patch, whether it is there or not. `out` has room for `size` bytes. */
void cache_patch_path(const char *dir, const uint8_t digest[32], char *out, size_t size);

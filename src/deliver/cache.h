/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/compare.h"
#include "patch/digest.h"

/*
 * Comparisons that were made before: DIR/pairs/OLD-NEW-WHAT.json and the patches, DIR/patches/DIGEST.spatch.
 * OLD and NEW are digests of the files, not build-ids: what was made of one user's files must not be found
 * for another's that only say that they are the same build. A pair is compared once a machine, not once a
 * round. WHAT tells apart what was accepted and which program judged (by its own bytes, so that a mended
 * judge is asked again). What was not hotpatchable counts for a day only: debug information may have come
 * since. Losing the cache costs time only.
 */

/* 0: found; positive: not there (or not readable as such, which is the same). */
enum { CACHE_ABSENT = 1 };
int cache_get(const char *dir, const uint8_t old_file[DIGEST_SIZE], const uint8_t new_file[DIGEST_SIZE],
              const bool accepted[REFUSAL_N], Comparison *out);
int cache_put(const char *dir, const uint8_t old_file[DIGEST_SIZE], const uint8_t new_file[DIGEST_SIZE],
              const Comparison *c, const bool accepted[REFUSAL_N], Error *e);
/* Removes what was written more than `days` ago, and of more than `max_bytes` the oldest; what is still asked
 * for is made again. */
void cache_prune(const char *dir, unsigned days, uint64_t max_bytes);

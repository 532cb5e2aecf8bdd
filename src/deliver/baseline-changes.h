/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "snapshot/snapshot.h"
#include "store/store.h"

/*
 * Which changes of packages the restarts of some units bring into force: from each package of which an image
 * waits for the restart, the last change before that was noticed, and what changed since; and later changes
 * of the same packages. "machine" stands for everything that no baseline has yet.
 */

/* Would a version come into force that is held? 1 (`held` says which), 0 or negative. */
int changes_held(Store *s, const char *root, const char *const *units, size_t n, char *held, size_t size,
                 Error *e);
/* Writes down that they come into force by this baseline. */
int changes_take(Store *s, const char *root, int64_t baseline, const char *const *units, size_t n, Error *e);
/* Is there a change that no baseline has brought into force? 1, 0 or negative. */
int changes_outstanding(Store *s, Error *e);

typedef struct FoundSnapshot {
        char provider[32];
        SnapshotMade made;
} FoundSnapshot;

/* The provider's snapshot from before the baseline's first change. -ENOENT: there is none. */
int changes_snapshot(Store *s, int64_t baseline, const char *provider, FoundSnapshot *out, Error *e);

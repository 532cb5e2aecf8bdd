/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "snapshot/dpkg.h"
#include "snapshot/snapshot.h"

/*
 * Copies of packages: of the versions that a change replaces, and of those that it brings, which are there
 * then when the next one replaces them.
 */

/* Where apt leaves the files that it downloaded. */
#define KEEP_ARCHIVES "/var/cache/apt/archives"

/*
 * Makes a copy of every old version, and writes each down as it is there; marks the change as complete, or
 * not and why. What can't be copied is passed over. `until_usec`: now_usec() at which it ends. Returns 0 when
 * the change is complete, 1 when it isn't (`e` says why), or an error that stopped it.
 */
int keep_change(const SnapshotContext *c, Store *s, int64_t change, const DpkgChange *changes, size_t n,
                uint64_t until_usec, Error *e);
/* STATE/debs/FILE. */
const char *keep_path(const SnapshotContext *c, Arena *a, const char *file);
/* Is the copy there, and is it the one that was made? */
int keep_check(const SnapshotContext *c, const StorePackage *p, Error *e);

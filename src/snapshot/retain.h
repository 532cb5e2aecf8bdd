/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "snapshot/snapshot.h"

/*
 * What is dropped, and when: docs/baseline.md. Only what the state knows with its mark; never what an
 * unfinished baseline needs, nor the change `current`.
 */

/* Drops changes that are too many or too old, with their snapshots, and copies that nothing needs. */
int retain_run(const SnapshotContext *c, Store *s, int64_t current, Error *e);
/* Makes room for `need` bytes of copies, the oldest first: unneeded copies, then changes. -ENOSPC: there is
 * no room. */
int retain_room(const SnapshotContext *c, Store *s, int64_t current, uint64_t need, Error *e);
/* As retain_room, but drops no change for it. */
int retain_spare(const SnapshotContext *c, Store *s, int64_t current, uint64_t need, Error *e);

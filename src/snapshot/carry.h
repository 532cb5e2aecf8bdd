/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "snapshot/snapshot.h"

/*
 * A root file system that comes back is as old as the snapshot; the state in it would not know that it came
 * back, and why.
 */

/* Does the state lie below the root? Where it does not, it stays as it is. 0: no; 1: yes; or an error. */
int carry_needed(const SnapshotContext *c, Error *e);
/* Copies the state as it is now into the file system that will be the root, of which `new_root` is the top.
 * Nothing is done where the state's folder is not there. */
int carry_state(const SnapshotContext *c, const char *new_root, Error *e);
/* Has `f` work in a child with a mount namespace of its own, with an empty folder to mount on: whatever it
 * mounts is gone when this returns, however `f` ended. Returns what `f` does; -ECHILD when the child was
 * ended. */
int carry_apart(int (*f)(void *data, const char *folder, Error *e), void *data, Error *e);

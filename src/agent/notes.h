/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/witness.h"
#include "apply/engine.h"
#include "proc/list.h"

/*
 * What processes carry, found out in a fork and told to the loop through a file: the loop itself never
 * opens a process's files, maps or memory.
 */

/* Writes what the processes carry (n == 0: all). `enter`: see OutdatedOptions. */
void notes_take(int fd, const pid_t *pids, size_t n, bool (*enter)(void *data, const Process *p), void *data);
/* Once for each process that has patches. What a fork that was ended wrote half is left out. */
void notes_each(int fd,
                void (*each)(void *data, const Process *p, Witness w, const ProcessPatch *patches, size_t n),
                void *data);

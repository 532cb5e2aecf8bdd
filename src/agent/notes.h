/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/witness.h"
#include "apply/engine.h"
#include "proc/list.h"

/*
 * What processes carry, found out in a fork and told to the loop through a file: the loop itself never
 * opens a process's files, maps or memory.
 */

/* Writes what one process carries. */
void notes_write(int fd, const Process *p, const ProcessPatch *patches, size_t n);
/* Asks the processes what they carry of images below `root` (NULL: all), and writes that. n == 0: all
 * processes. `enter`: see OutdatedOptions. */
void notes_take(int fd, const pid_t *pids, size_t n, const char *root,
                bool (*enter)(void *data, const Process *p), void *data);
/* Once for each process that has patches. What a fork that was ended wrote half is left out. */
void notes_each(int fd,
                void (*each)(void *data, const Process *p, Witness w, const ProcessPatch *patches, size_t n),
                void *data);

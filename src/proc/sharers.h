/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * The processes that share the memory of thread `pid` (CLONE_VM), `pid` itself first; *out is malloc'ed. Only
 * processes are missed whose id was given out after `newest` (task_newest, before the call), or whose task
 * could not be found yet: of the ids before, *unborn (malloc'ed) has those that somebody is in the middle of
 * making a task for; an id that is only that of a group any more is taken for one, too. More than 256 ids
 * back they are not looked for. -ESRCH: `pid` has ended; negative errno when one could share its memory, and
 * may not be looked at.
 */
int sharers_find(pid_t pid, pid_t newest, pid_t **out, size_t *n, pid_t **unborn, size_t *n_unborn, Error *e);
/*
 * The memory of `pid` has been the same since before sharers_find was called last, which was for it: what it
 * was compared with need not be compared with one another any more.
 */
void sharers_settle(pid_t pid);
/*
 * Of the ids given out after `from`, up to `to` (task_newest), none is of a task that shares the memory of
 * `pid`; those that somebody is in the middle of making a task for are added to *unborn (malloc'ed, *n_unborn
 * of them). False, with nothing added: one may share it, or `pid` has no memory of its own any more.
 */
bool sharers_none_since(pid_t pid, pid_t from, pid_t to, pid_t **unborn, size_t *n_unborn);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/*
 * The processes that share the memory of thread `pid` (CLONE_VM), `pid` itself first; *out is malloc'ed. Only
 * processes are missed whose id was given out after `newest` (task_newest, before the call), or
 * whose task could not be found yet. -ESRCH: it has
 * ended; negative errno when one could share it, and may not be looked at.
 */
int sharers_find(pid_t pid, pid_t newest, pid_t **out, size_t *n, Error *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * While threads of another process are held, by a stop or because one makes calls for us: nothing else is
 * as urgent, and no wait may be endless. docs/safety.md, "Who waits for whom".
 */

/*
 * From here on this process has real-time priority (SCHED_FIFO; SCHED_DEADLINE where that is not allowed; or
 * at least nice -20 and short slices, so that it is run when it is woken), and SIGALRM comes every 2 ms, so
 * that a wait for a thread returns with EINTR now and then. May be nested. The process must not fork
 * meanwhile.
 */
void hold_begin(void);
/* As before the outermost hold_begin. */
void hold_end(void);
/* For all other work: a process that is woken preempts nobody by it (SCHED_BATCH), unless it was given a
 * policy of another kind. Inherited by children. */
void hold_nothing(void);

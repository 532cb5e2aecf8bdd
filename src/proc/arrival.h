/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/*
 * The moment in which a thread comes to an address, told by the kernel (a hardware breakpoint that is
 * counted, perf_event_open(2)) while the thread goes on as if nothing were: it is not traced, gets no signal,
 * and what was set goes away with the descriptor, so with us, too.
 */
typedef struct Arrival {
        int fd; /* -1: not watched */
        void *ring;
} Arrival;

/* -1 in fd where the kernel or the processor has none to spare: then there is nothing to wait for. */
Arrival arrival_watch(pid_t tid, uint64_t addr);
/* Until it has come there since arrival_watch, has ended, or the time is over. Ends the watch. */
void arrival_await(Arrival *a, uint64_t usec);
void arrival_end(Arrival *a);

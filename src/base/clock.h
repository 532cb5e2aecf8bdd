/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_usec(clockid_t clock) {
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
/* Never set back; for durations and deadlines. */
static inline uint64_t now_usec(void) {
        return clock_usec(CLOCK_MONOTONIC);
}
/* What a person's clock shows; for what is kept and shown. */
static inline uint64_t wall_usec(void) {
        return clock_usec(CLOCK_REALTIME);
}

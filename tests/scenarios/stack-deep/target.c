/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <time.h>

static volatile long descents;

NOINLINE static void nap(long usec) {
        struct timespec t = { 0, usec * 1000 };
        CALL(nanosleep(&t, NULL));
}

NOINLINE static long dive(int depth, int sleep) {
        char room[64];
        room[depth & 63] = (char)depth;
        if (depth == 0) {
                descents++;
                if (sleep)
                        nap(10000);
                return PICK(0, 100000);
        }
        return dive(depth - 1, sleep) + (room[depth & 63] == (char)depth);
}

static void body(int index) {
        long r = dive(500, 1);
        (void)index;
        EXPECT(r == 500 || r == 100500);
        nap(10000);
}

void target_start(void) { harness_workers(1, body); }
void target_check(int version) { EXPECT_EQ(dive(10, 0), version >= 2 ? 100010 : 10); }

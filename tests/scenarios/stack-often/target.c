/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <time.h>

static volatile long spins, rounds;

NOINLINE static void nap(long usec) {
        struct timespec t = { 0, usec * 1000 };
        CALL(nanosleep(&t, NULL));
}

NOINLINE static long busy(int index) {
        long r = 0;
        if (index & 1) {
                nap(3000);
        } else {
                for (int i = 0; i < 200000; i++)
                        r += spins++ & 1;
        }
        return r * 0 + PICK(1, 2);
}

static void body(int index) {
        long r = busy(index);
        EXPECT(r == 1 || r == 2);
        __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
        nap(6000);
}

void target_start(void) { harness_workers(3, body); }
void target_check(int version) { EXPECT_EQ(busy(0), version >= 2 ? 2 : 1); }

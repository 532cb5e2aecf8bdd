/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

long other_next(long v);

static __thread long count;

NOINLINE static long next(long v) { return count += v * PICK(1, 10); }

static void body(int index) {
        (void)index;
        long before = count;
        long got = next(1);
        EXPECT(got == before + 1 || got == before + 10);
        EXPECT(other_next(2) % 2 == 0);
        usleep(500);
}

void target_start(void) {
        harness_workers(2, body);
}

void target_check(int version) {
        long before = count;
        EXPECT_EQ(next(3), before + 3 * (version >= 2 ? 10 : 1));
        EXPECT_EQ(other_next(2) % 2, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long sum;

NOINLINE static long get(long by) {
        static long base = getpid() * PICK(3L, 5L) + 1;
        return base * by;
}

NOINLINE static long step(long v) { return v + PICK(1, 2); }

void target_start(void) { get(1); }
void target_work(void) { sum = step(sum + get(sum)) & 0xffff; }

void target_check(int version) {
        EXPECT_EQ(step(10), version >= 2 ? 12 : 11);
        EXPECT(get(1) == getpid() * 3L + 1 || (get(1) == getpid() * 5L + 1 && version >= 2)); /* the build that began made it */
}

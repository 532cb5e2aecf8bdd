/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long sum;

NOINLINE static long seed(long v) { return v * PICK(3, 5) + 1; }

NOINLINE static long get() {
        static long base = seed(getpid());
        return base;
}

NOINLINE static long step(long v) { return v + PICK(1, 2); }

void target_start(void) { get(); }
void target_work(void) { sum = step(sum + get()) & 0xffff; }

void target_check(int version) {
        EXPECT_EQ(step(10), version >= 2 ? 12 : 11);
        EXPECT(get() == getpid() * 3L + 1 || (get() == getpid() * 5L + 1 && version >= 2)); /* the build that began made it */
}

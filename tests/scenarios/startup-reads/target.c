/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long base, level = 1, sum;

NOINLINE static void lift(void) { level += harness_turns() < 0; }
NOINLINE static void seed(long v) { base = v * PICK(3, 5) + level; }
NOINLINE static long step(long v) { return v + PICK(1, 2) * level; }

int main(void) {
        seed(getpid());
        harness_begin();
        while (harness_turn()) {
                lift();
                sum = step(sum) & 0xffff;
        }
        return harness_end();
}

void target_check(int version) {
        EXPECT_EQ(step(10), version >= 2 ? 12 : 11);
        EXPECT(base == getpid() * 3L + 1 || (base == getpid() * 5L + 1 && version >= 2)); /* the build that began made it */
}

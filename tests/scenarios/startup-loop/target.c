/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long base, sum;

NOINLINE static void seed(long v) { base = v * PICK(3, 5) + 1; }
NOINLINE static long step(long v) { return v + PICK(1, 2); }

int main(void) {
        seed(getpid());
        harness_begin();
        while (harness_turn()) {
                seed(getpid());
                sum = step(sum) & 0xffff;
        }
        return harness_end();
}

void target_check(int version) {
        EXPECT_EQ(step(10), version >= 2 ? 12 : 11);
        /* The build that made it last: after a switch or a revert the loop may not have come by yet. */
        EXPECT(base == getpid() * 3L + 1 || base == getpid() * 5L + 1);
}

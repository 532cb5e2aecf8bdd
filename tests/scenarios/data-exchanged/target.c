/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long before, behind;

NOINLINE static long step(long by) {
#if NEW
        static long calls;

        return ++calls;
#else
        static long sum;

        sum += by * 16;
        return 0;
#endif
}
NOINLINE static void around(long by) {
        before += by;
        behind -= by;
}
NOINLINE static long around_get(void) {
        return before + behind;
}

void target_work(void) {
        step(7);
        around(1);
        EXPECT_EQ(around_get(), 0);
}

void target_check(int version) {
        static long last;
        long now = step(5);

        if (version >= 2) {
                EXPECT(now > 0 && now < 1000000 && now % 1 == 0);
                EXPECT_EQ(step(5), now + 1);
                EXPECT(last || now < 16 || harness_turns() >= now);
                last = now;
        } else {
                EXPECT_EQ(now, 0);
        }
}

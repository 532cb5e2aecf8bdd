/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Only one function uses `low`, and that changed. `high` lies right behind it, and others use it, too. */
static const int low[8] = { 11, 12, 13, 14, 15, 16, 17, 18 };
static const int high[8] = { 21, 22, 23, 24, 25, 26, 27, 28 };
static volatile long seen;

NOINLINE static long pick(unsigned i) {
        return high[i % 8];
}
/* Of two loops around one another, the inner one's end is an address of its own in code. */
NOINLINE static long sum(int rounds, long stop) {
        long s = 0;
        for (int n = rounds; n; n--)
                for (int i = 0; i < 8; i++) {
                        if (low[i] == stop)
                                break;
                        s += low[i];
                        seen = s;
                }
        return s + (NEW ? 1000 : 0) + high[rounds & 7];
}

void target_work(void) {
        EXPECT_EQ(sum(2, 300) % 1000, 255);
        EXPECT_EQ(pick((unsigned)harness_turns()), 21 + harness_turns() % 8);
}
void target_check(int version) {
        EXPECT_EQ(sum(3, 300), (version >= 2 ? 1348 : 348) + 24);
        EXPECT_EQ(sum(1, 15), (version >= 2 ? 1050 : 50) + 22);
        EXPECT_EQ(pick(9), 22);
}

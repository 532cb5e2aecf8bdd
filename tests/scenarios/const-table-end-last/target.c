/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct rate {
        const char *name;
        long value;
};
static const struct rate low[8] = { { "aa", 11 }, { "bb", 12 }, { "cc", 13 }, { "dd", 14 },
                                    { "ax", 15 }, { "bx", 16 }, { "cx", 17 }, { "dx", 18 } };
static volatile long seen;

/* Of two loops around one another, the inner one's end is an address of its own in code. */
NOINLINE static long sum(int rounds, long stop) {
        long s = 0;
        for (int n = rounds; n; n--)
                for (int i = 0; i < 8; i++) {
                        if (low[i].value + (long)strlen(low[i].name) == stop)
                                break;
                        s += low[i].value;
                        seen = s;
                }
        return s;
}
NOINLINE static long scaled(long n) {
        long s = n * 3;
#if NEW /* enough code for .fini to be elsewhere, as the dynamic section says */
        for (long i = 0; i < n % 7; i++) {
                s ^= seen * i + (s >> 3);
                s += seen / (i + 1) - s % (i + 5);
        }
        s = n * 5;
#endif
        return s;
}

void target_work(void) {
        EXPECT_EQ(sum(2, 300), 232);
        EXPECT(scaled(harness_turns()) >= 0);
}
void target_check(int version) {
        EXPECT_EQ(sum(3, 300), 348);
        EXPECT_EQ(sum(1, 15), 23);
        EXPECT_EQ(scaled(10), version >= 2 ? 50 : 30);
}

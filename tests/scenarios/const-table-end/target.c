/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct rate {
        const char *name;
        long value;
};
/* Compilers lay these out in one order or the other. Of two loops around one another, the inner one's end is
 * an address of its own in code. */
static const struct rate high[8] = { { "ee", 21 }, { "ff", PICK(22, 27) }, { "gg", 23 }, { "hh", 24 },
                                     { "ii", 25 }, { "jj", 26 },           { "kk", 27 }, { "ll", 28 } };
static const struct rate low[8] = { { "aa", 11 }, { "bb", 12 }, { "cc", 13 }, { "dd", 14 },
                                    { "ax", 15 }, { "bx", 16 }, { "cx", 17 }, { "dx", 18 } };
static volatile long seen;

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
NOINLINE static long one(unsigned i) {
        return high[i % 8].value + (long)strlen(high[i % 8].name);
}

void target_work(void) {
        EXPECT_EQ(sum(2, 300), 232);
        EXPECT(one((unsigned)harness_turns()) > 20);
}
void target_check(int version) {
        EXPECT_EQ(sum(3, 300), 348);
        EXPECT_EQ(sum(1, 15), 23);
        EXPECT_EQ(one(1), version >= 2 ? 29 : 24);
        EXPECT_EQ(one(2), 25);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
enum { FAR = 100000 };
#if NEW
static long more[700];
#endif
static long hits, values[64];
NOINLINE static long add(long n, long x) {
#if NEW
        if (x == 9)
                more[n & 7]++;
#endif
        hits++;
        values[n - FAR] += x;
        return PICK(values[n - FAR], values[n - FAR] + 1);
}
void target_work(void) {
        add(FAR + (long)(harness_turns() & 63), 1);
}
void target_check(int version) {
        long before = values[5];

        EXPECT_EQ(add(FAR + 5, 7), before + 7 + (version >= 2));
        EXPECT_EQ(values[5], before + 7);
        EXPECT(hits > 0);
}

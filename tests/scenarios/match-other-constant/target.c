/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const int low[5] = { 1, 2, 3, 4, 5 };
static const int high[5] = { 10, 20, 30, 40, 50 };
static volatile unsigned uses;

NOINLINE static int low_get(unsigned i) { uses++; return low[i % 5]; }
NOINLINE static int high_get(unsigned i) { uses++; return high[i % 5]; }
NOINLINE static int fixed(unsigned i) {
        uses++;
#if NEW
        return high[i % 5];
#else
        return low[i % 5];
#endif
}

void target_work(void) {
        low_get(1), high_get(1), fixed(1);
}

void target_check(int version) {
        EXPECT_EQ(low_get(2), 3);
        EXPECT_EQ(high_get(2), 30);
        EXPECT_EQ(fixed(2), version >= 2 ? 30 : 3);
}

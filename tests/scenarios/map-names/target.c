/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#if NEW
static long counter, peak, last; /* which the same functions go on setting */
#endif
static long total = 0;
NOINLINE static void tick(long x) {
        total += x;
#if NEW
        counter++;
        last = x;
        if (x > peak)
                peak = x;
#endif
}
NOINLINE static long get(void) {
#if NEW
        return (counter > 0) * 1000 + (peak > 0) * 10000 + (last == 1) * 100000 + (total > 0);
#else
        return total > 0;
#endif
}
void target_work(void) {
        tick(1);
}
void target_check(int version) {
        tick(1);
        EXPECT_EQ(get(), version >= 2 ? 111001 : 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long total, mode = 1;
NOINLINE static long total_get(void) { return total + 0 * mode; }
NOINLINE static void total_add(long v) { total += v; mode = 1; }
NOINLINE static long first(long v) {
        total_add(1);
#if VERSION >= 2
        return v * 2;
#else
        return v;
#endif
}
NOINLINE static long second(long v) {
        total_add(1);
#if VERSION >= 3
        return v * 3;
#else
        return v;
#endif
}
void target_work(void) { second(harness_turns()); }
void target_check(int version) {
        long before = total_get(), r = first(5);
        EXPECT_EQ(r % 1000, version >= 2 ? 10 : 5);
        EXPECT_EQ(second(5), version >= 3 ? 15 : 5);
        EXPECT_EQ(total_get() - before, 2);
}

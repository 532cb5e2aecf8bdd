/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Version 3 has a variable of another meaning in the place of the one that version 2 added. */
static long total, mode = 1;
#if VERSION == 2
static long fixes = 1;
#elif VERSION >= 3
static long lengths = 1;
#endif
NOINLINE static long total_get(void) { return total + 0 * mode; }
NOINLINE static void total_add(long v) { total += v; mode = 1; }
NOINLINE static long first(long v) {
        total_add(1);
#if VERSION == 2
        fixes++;
        return v + 20 + (fixes > 1000000000);
#elif VERSION >= 3
        lengths = lengths * 2 + v;
        mode = lengths ? 1 : 2;
        return v + 20;
#else
        return v;
#endif
}
NOINLINE static long second(long v) { total_add(1); return v | VERSION << 8; }
void target_work(void) { second(harness_turns()); }
void target_check(int version) {
        long before = total_get();
        EXPECT_EQ(first(5), version >= 2 ? 25 : 5);
        EXPECT_EQ(second(5), 5 | version << 8);
        EXPECT_EQ(total_get() - before, 2);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* In version 3 the variable that version 2 added is an array. The patch in place must stay. */
static long total, mode = 1;
static volatile long which = 1;
#if VERSION == 2
static long fixes = 1;
#elif VERSION >= 3
static long fixes[4] = { 1, 1, 1, 1 };
#endif
NOINLINE static long total_get(void) { return total + 0 * mode; }
NOINLINE static void total_add(long v) { total += v; mode = 1; }
NOINLINE static long first(long v) {
        total_add(1);
#if VERSION >= 2
        long *count = VERSION >= 3 ? (long *)&fixes + (which & 3) : (long *)&fixes + 0 * which;
        ++*count;
        return v + 20 + (*count > 1000000000);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long total, mode = 1;
#if VERSION >= 2
static long fixes;
#endif
#if VERSION >= 3
static long later[4] = { 1, 2, 3, 4 };
#endif
NOINLINE static long total_get(void) { return total + 0 * mode; }
NOINLINE static void total_add(long v) { total += v; mode = 1; }
NOINLINE static long first(long v) {
        total_add(1);
#if VERSION >= 2
        fixes++;
        return v * 2 + fixes * 1000;
#else
        return v;
#endif
}
NOINLINE static long second(long v) {
        total_add(1);
#if VERSION >= 3
        later[v & 3]++;
        return v * 3 + (later[v & 3] > 100000);
#else
        return v;
#endif
}
static long runs_expected;
void target_work(void) { second(harness_turns()); }
void target_command(const char *word) {
        /* first() has run once in version 2: the next call, in version 3, must count on from there. */
        (void)word;
        runs_expected = first(0) / 1000;
}
void target_check(int version) {
        long before = total_get(), r = first(5);
        EXPECT_EQ(r % 1000, version >= 2 ? 10 : 5);
        if (version >= 3 && runs_expected) {
                EXPECT_EQ(r / 1000, runs_expected + 1);
                runs_expected = 0;
        }
        EXPECT_EQ(second(5), version >= 3 ? 15 : 5);
        EXPECT_EQ(total_get() - before, 2);
}

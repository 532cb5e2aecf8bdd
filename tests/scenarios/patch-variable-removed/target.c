/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Version 3 no longer has the variable that version 2 added; version 4 has it again. */
static long total, mode = 1;
#if VERSION == 2 || VERSION == 4
static long fixes;
#endif
NOINLINE static long total_get(void) { return total + 0 * mode; }
NOINLINE static void total_add(long v) { total += v; mode = 1; }
NOINLINE static long first(long v) {
        total_add(1);
#if VERSION == 2 || VERSION == 4
        fixes++;
        return v * 2 + fixes * 1000;
#elif VERSION == 3
        return v * 2;
#else
        return v;
#endif
}
NOINLINE static long second(long v) { total_add(1); return v | VERSION << 8; }
static long runs_expected;
void target_command(const char *word) {
        (void)word;
        runs_expected = first(0) / 1000;
}
void target_work(void) { second(harness_turns()); }
void target_check(int version) {
        long before = total_get(), r = first(5);
        EXPECT_EQ(r % 1000, version >= 2 ? 10 : 5);
        if (version == 4 && runs_expected) {
                EXPECT_EQ(r / 1000, runs_expected + 1);
                runs_expected = 0;
        }
        EXPECT_EQ(second(5), 5 | version << 8);
        EXPECT_EQ(total_get() - before, 2);
}

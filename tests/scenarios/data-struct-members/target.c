/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/*
 * To the code these are three variables, and a fourth that is new: each keeps its own place and value, and
 * the new one gets a place in the patch. Where it is patched, all of them go on from what they were.
 */
static struct {
        long requests;
#if NEW
        long refused;
#endif
        long bytes;
        int peak;
} stats;

NOINLINE static void account(long n) {
        stats.requests++;
#if NEW
        if (n > 60000) {
                stats.refused++;
                return;
        }
#endif
        stats.bytes += n;
        if (n > stats.peak)
                stats.peak = (int)n;
}
NOINLINE static long requests(void) { return stats.requests; }
NOINLINE static long bytes(void) { return stats.bytes; }
NOINLINE static int peak(void) { return stats.peak; }
NOINLINE static long refused(void) {
#if NEW
        return stats.refused;
#else
        return -1;
#endif
}
NOINLINE static long all(void) { return requests() + bytes() + peak() + refused(); }
static long accounted, expected;

void target_start(void) {
        account(50000);
        accounted = 1;
        expected = 50000;
}
void target_work(void) {
        account(3);
        accounted++;
        expected += 3;
        all();
}
void target_check(int version) {
        long before = bytes(), had = refused();

        EXPECT_EQ(requests(), accounted);
        EXPECT_EQ(before, expected);
        EXPECT_EQ(peak() < 50000, 0);
        account(70000);
        accounted++;
        EXPECT_EQ(bytes(), version >= 2 ? before : before + 70000);
        expected = bytes();
        EXPECT_EQ(refused(), version >= 2 ? had + 1 : -1);
        EXPECT_EQ(all(), requests() + bytes() + peak() + refused());
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static struct {
        long opened;
#if NEW
        long refused;
#endif
        long closed, bytes;
} stats;
static long behind[2];

NOINLINE static void stat_open(void) { stats.opened++; }
NOINLINE static void stat_close(long bytes) { stats.closed++; stats.bytes += bytes; }
NOINLINE static long stat_bytes(void) { return stats.bytes; }
NOINLINE static long stat_live(void) { return stats.opened - stats.closed; }
NOINLINE static void behind_add(long v) { behind[0] += v; behind[1] -= v; }
NOINLINE static int admit(int n) {
        if (n > 100) {
#if NEW
                stats.refused++;
#endif
                return 0;
        }
        stat_open();
        return 1;
}

void target_work(void) {
        admit(5);
        stat_close(10);
        behind_add(1);
        EXPECT_EQ(stat_live(), 0);
}

void target_check(int version) {
        long b = stat_bytes();
        EXPECT_EQ(admit(200), 0);
        admit(1);
        stat_close(7);
        EXPECT_EQ(stat_bytes() - b, 7);
        EXPECT_EQ(behind[0] + behind[1], 0);
        EXPECT_EQ(version >= 2, NEW);
}

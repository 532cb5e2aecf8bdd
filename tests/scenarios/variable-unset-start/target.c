/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
static long seen[8];
#if NEW
static long most;
#endif
NOINLINE static void configure(void) {
        seen[0] = getpid() > 0;
#if NEW
        most = sysconf(_SC_PAGESIZE) > 0 ? 100 : 50;
#endif
}
NOINLINE static int take(long n) {
        seen[n & 7]++;
#if NEW
        if (n > most)
                return -1;
#endif
        return (int)(n & 7);
}
void target_start(void) {
        configure();
}
void target_work(void) {
        take(harness_turns() & 63);
}
void target_check(int version) {
        EXPECT_EQ(take(20), 4);
        EXPECT_EQ(take(200), version >= 2 ? -1 : 0);
}

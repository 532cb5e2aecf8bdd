/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
/* The one is the last number, the other the sum of all. */
#if NEW
static long first, second;
#define LAST second
#define SUM first
#else
static long second, first;
#define LAST first
#define SUM second
#endif
NOINLINE static long take(long x) {
        SUM += x;
        LAST = x;
        return SUM * 2 - LAST + PICK(0, 1);
}
void target_start(void) {
        take(1000);
}
void target_work(void) {
        take(0);
}
void target_check(int version) {
        EXPECT_EQ(take(0), 2000 + (version >= 2));
}

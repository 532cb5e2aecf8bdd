/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static volatile int count;

NOINLINE void hook(int v) {
        (void)v;
#if NEW
        count += v;
#endif
}

NOINLINE static int count_get(void) {
        return count;
}

NOINLINE static void count_set(int v) {
        count = v;
}

void target_work(void) {
        count_set(0);
        hook(1);
}

void target_check(int version) {
        count_set(7);
        hook(5);
        EXPECT_EQ(count_get(), version >= 2 ? 12 : 7);
}

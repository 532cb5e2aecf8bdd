/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

int aux_limit(int v);
static long sum;

NOINLINE static void sum_add(long v) { sum += v; }
NOINLINE static long measure(int v) {
#if NEW
        v = aux_limit(v);
#endif
        sum_add(v);
        return v;
}

void target_work(void) {
        measure(1);
}

void target_check(int version) {
        EXPECT_EQ(measure(30), version >= 2 ? 10 : 30);
}

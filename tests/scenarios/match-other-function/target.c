/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long log_a, log_b;
NOINLINE void put_a(long v) { log_a += v; }
NOINLINE void put_b(long v) { log_b += v; }

NOINLINE static void report(long v) {
#if NEW
        put_b(v);
#else
        put_a(v);
#endif
}

NOINLINE static void both(long v) {
        put_a(v);
        put_b(v);
}

NOINLINE static void get(long *a, long *b) {
        *a = log_a;
        *b = log_b;
}

void target_work(void) {
        both(1);
        report(1);
}

void target_check(int version) {
        long a0, b0, a1, b1;
        get(&a0, &b0);
        report(5);
        get(&a1, &b1);
        EXPECT_EQ(a1 - a0, version >= 2 ? 0 : 5);
        EXPECT_EQ(b1 - b0, version >= 2 ? 5 : 0);
        both(1);
        get(&a0, &b0);
        EXPECT_EQ((a0 - a1) * 10 + (b0 - b1), 11);
}

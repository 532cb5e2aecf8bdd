/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
__attribute__((aligned(32))) static struct { long opened, refused, closed, bytes; } s;
#else
__attribute__((aligned(32))) static struct { long opened, closed, bytes; } s;
#endif
static long behind[4];

NOINLINE static void opened_add(long v) { s.opened += v; }
NOINLINE static void closed_add(long v) { s.closed += v; }
NOINLINE static long closed_get(void) { return s.closed; }
NOINLINE static long opened_get(void) { return s.opened; }
NOINLINE static void bytes_add(long v) { s.bytes += v; behind[v & 3]++; }
NOINLINE static void admit(void) {
        s.opened += 5;
#if NEW
        s.refused += 5;
#endif
}

void target_work(void) {
        opened_add(1), opened_add(-1);
        closed_add(1), closed_add(-1);
        bytes_add(8);
}

void target_check(int version) {
        long o = opened_get(), c = closed_get();
        (void)version;
        admit();
        EXPECT_EQ(opened_get() - o, 5);
        EXPECT_EQ(closed_get() - c, 0);
}

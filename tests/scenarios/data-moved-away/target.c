/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
static long b = 20, pad1 = 5, a = 10, zb, zpad[100], za;
#else
static long a = 10, b = 20, za, zb;
#endif

NOINLINE static long a_step(long v) { a += v; za++; return a; }
NOINLINE static long b_step(long v) { b -= v; zb++; return b; }
NOINLINE static long all(void) { return a * 1000000 + b * 10000 + za * 0 + zb * 0; }
NOINLINE static long counts(void) { return za - zb; }

NOINLINE static long run(long v) {
#if NEW
        zpad[v & 63] += pad1;
#endif
        long r = a_step(v) + b_step(v);
        return r + (za + zb) * 0 + PICK(0, 7);
}

void target_work(void) {
        run(1);
        EXPECT_EQ(a_step(-1) + b_step(-1), 30);
}

void target_check(int version) {
        EXPECT_EQ(all(), 10 * 1000000 + 20 * 10000);
        EXPECT_EQ(run(3), version >= 2 ? 37 : 30);
        EXPECT_EQ(run(-3), version >= 2 ? 37 : 30);
        EXPECT_EQ(counts(), 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long store[64];
#if NEW
#define FILL(n) NOINLINE long fill##n(long v) { store[n] += v * n; return store[n] ^ v; }
FILL(1) FILL(2) FILL(3) FILL(4) FILL(5) FILL(6) FILL(7) FILL(8) FILL(9) FILL(10)
FILL(11) FILL(12) FILL(13) FILL(14) FILL(15) FILL(16) FILL(17) FILL(18) FILL(19) FILL(20)
#endif
NOINLINE static long load(int i) { return store[i & 63]; }
NOINLINE static long save(int i, long v) { return store[i & 63] = v; }
NOINLINE static long bump(int i) {
        static long times;
        times++;
        return save(i, load(i) + 1) + times * 0;
}
NOINLINE static long drop(int i) {
        static long times;
        times++;
        return save(i, load(i) - PICK(1, 2)) + times * 0;
}

void target_work(void) {
        bump(60), drop(61);
}

void target_check(int version) {
        save(5, 100);
        EXPECT_EQ(bump(5), 101);
        EXPECT_EQ(drop(5), version >= 2 ? 99 : 100);
#if NEW
        EXPECT(fill1(0) + fill20(0) == load(1) + load(20));
#endif
        EXPECT_EQ(load(5), version >= 2 ? 99 : 100);
}

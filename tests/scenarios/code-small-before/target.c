/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Functions too small for a jump, with a neighbour right behind them and padding before. */
static volatile int sum;
NOINLINE int first(void) { return sum + 1; }
NOINLINE __attribute__((aligned(64))) int half(int v) { return v >> PICK(1, 2); }
NOINLINE int behind(int v) { return v + 3; }
NOINLINE int second(void) { return sum * 3 + 2; }
NOINLINE __attribute__((aligned(64))) int same(int v) { return PICK(v, -v); }
NOINLINE int behind_too(int v) { return v + 4; }
static int add(int v) {
        sum += v;
        return sum;
}
static void body(int index) {
        int r = half(64 + index);
        EXPECT(r == 32 || r == 16);
}
void target_start(void) { harness_workers(1, body); }
void target_work(void) {
        add(first() + second() + behind(1) + behind_too(1));
        add(-first() - second() - behind(1) - behind_too(1));
}
void target_check(int version) {
        EXPECT_EQ(half(64), version >= 2 ? 16 : 32);
        EXPECT_EQ(same(5), version >= 2 ? -5 : 5);
        EXPECT_EQ(behind(1), 4);
        EXPECT_EQ(behind_too(1), 5);
        EXPECT_EQ(second() - 3 * first(), -1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long a_state = 1, b_state = 2, c_state = 3, d_state = 4;
long step_a(long), step_b(long), step_c(long), step_d(long);

#define A NOINLINE long step_a(long x) { a_state = a_state * 3 + x; return a_state; }
#define B NOINLINE long step_b(long x) { b_state = (b_state ^ x) + (b_state >> 3); return b_state; }
#define C NOINLINE long step_c(long x) { c_state = c_state - x * PICK(7, 9); return c_state; }
#define D NOINLINE long step_d(long x) { for (long i = 0; i < (x & 7); i++) d_state += d_state ^ i; return d_state; }
#if NEW
D B C A
#else
A B C D
#endif

NOINLINE static void set(long a, long b, long c, long d) {
        a_state = a;
        b_state = b;
        c_state = c;
        d_state = d;
}

void target_work(void) {
        step_a(1), step_b(2), step_c(3), step_d(4);
}

void target_check(int version) {
        set(10, 20, 30, 40);
        EXPECT_EQ(step_a(5), 35);
        EXPECT_EQ(step_b(5), 19);
        EXPECT_EQ(step_c(5), version >= 2 ? -15 : -5);
        EXPECT_EQ(step_d(2), 40 + 40 + (80 ^ 1));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#pragma GCC diagnostic ignored "-Wunused-function"
NOINLINE int limit(void) { return PICK(1, 2); }
NOINLINE int nothing(void) { return 0; }
NOINLINE void blank(void) { }
NOINLINE int after(void) { return 3; }
static volatile int sum;

NOINLINE static int add(int v) {
        sum += v;
        return sum;
}

void target_work(void) {
        add(limit() + nothing() + after());
        add(-limit() - nothing() - after());
        blank();
}

void target_check(int version) {
        EXPECT_EQ(limit(), version >= 2 ? 2 : 1);
        EXPECT_EQ(nothing(), 0);
        EXPECT_EQ(after(), 3);
        EXPECT_EQ(add(1) - add(-1), 1);
}

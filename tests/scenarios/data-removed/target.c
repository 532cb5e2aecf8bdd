/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long first = 1;
#if !NEW
static long second = 2;
#endif
static long third = 3, zero_first;
#if !NEW
static long zero_second;
#endif
static long zero_third;

NOINLINE static long first_add(long v) {
        return first += v;
}

NOINLINE static long third_add(long v) {
        zero_third++;
        return third += v;
}

NOINLINE static long zeros(void) {
        return zero_first * 1000 + zero_third;
}

NOINLINE static long step(long v) {
        zero_first++;
#if !NEW
        second += v;
        zero_second++;
        return first_add(v) + third_add(v) + second * 0 + zero_second * 0;
#else
        return first_add(v) + third_add(v) + third * 0 + 1;
#endif
}

void target_work(void) {
        step(0);
}

void target_check(int version) {
        long a = first_add(0), b = third_add(0), z = zeros();
        EXPECT_EQ(step(5), a + b + 10 + (version >= 2));
        EXPECT_EQ(first_add(0) - a, 5);
        EXPECT_EQ(third_add(0) - b, 5);
        EXPECT_EQ(zeros() - z, 1002);
}

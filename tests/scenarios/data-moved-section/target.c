/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
__attribute__((section(".data"))) static long value[4] = { 0, 0, 0, 0 };
#else
static long value[4];
#endif
static long other[4] = { 5, 6, 7, 8 };

NOINLINE static long value_add(int i, long v) {
        return value[i & 3] += v;
}

NOINLINE static long other_add(int i, long v) {
        return other[i & 3] += v;
}

NOINLINE static long mix(int i) {
        return value_add(i, 0) * PICK(2, 3) + other_add(i, 0);
}

void target_start(void) {
        value_add(1, 100);
}

void target_check(int version) {
        EXPECT_EQ(value_add(1, 0), 100);
        EXPECT_EQ(mix(1), (version >= 2 ? 300 : 200) + 6);
}

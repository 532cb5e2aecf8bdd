/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const unsigned long sizes[] = { 'a', 169, 184, 135, 110, 26, 57,
#if NEW
                                       134, 170,
#endif
};
#define N (sizeof(sizes) / sizeof(*sizes))

/* Optimizers know the number; the place of it is read without. */
NOINLINE static unsigned long second(unsigned long by) {
        return *(const volatile unsigned long *)&sizes[1] * by;
}
NOINLINE static unsigned long size_of(unsigned long i) {
        return sizes[i % N];
}

void target_work(void) {
        EXPECT_EQ(size_of(0), 'a');
        EXPECT_EQ(second(2), 338);
}

void target_check(int version) {
        EXPECT_EQ(size_of(6), 57);
        EXPECT_EQ(size_of(7), version >= 2 ? 134 : 'a');
        EXPECT_EQ(size_of(8), version >= 2 ? 170 : 169);
        EXPECT_EQ(second(1), 169);
}

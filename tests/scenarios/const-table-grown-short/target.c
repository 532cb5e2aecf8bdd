/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const unsigned short sizes[] = { 105, 137, 75, 34, 127,
#if NEW
                                        171,
#endif
};
static const unsigned short behind[] = { 66, 222, 164, 218, 248 };
#define N (sizeof(sizes) / sizeof(*sizes))

NOINLINE static unsigned size_of(unsigned i) {
        return sizes[i % N];
}
NOINLINE static unsigned other(unsigned i) {
        return behind[i % 5];
}

void target_work(void) {
        EXPECT_EQ(size_of(0), 105);
        EXPECT_EQ(other((unsigned)harness_turns() % 5 * 5), 66);
}

void target_check(int version) {
        EXPECT_EQ(size_of(4), 127);
        EXPECT_EQ(size_of(5), version >= 2 ? 171 : 105);
        EXPECT_EQ(other(1), 222);
}

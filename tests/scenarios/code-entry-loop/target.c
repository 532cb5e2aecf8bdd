/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static volatile unsigned left;
static unsigned cells[64];

NOINLINE void drain(volatile unsigned *p) {
        do {
                *p -= PICK(1, 2);
        } while (*p);
}

NOINLINE unsigned walk(const unsigned *p) {
        while (*p++ != 7u)
                ;
        return (unsigned)(p - cells) * PICK(1u, 3u);
}

NOINLINE static void arm(unsigned n) {
        left = n;
        for (unsigned i = 0; i < 64; i++)
                cells[i] = i;
}

void target_work(void) {
        arm(100);
        drain(&left);
        EXPECT_EQ(left, 0);
        walk(cells);
}

void target_check(int version) {
        arm(64);
        drain(&left);
        EXPECT_EQ(left, 0);
        EXPECT_EQ(walk(cells), version >= 2 ? 24 : 8);
}

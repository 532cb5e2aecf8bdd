/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static short table[64] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, PICK(14, 140), 15, 16, 17, 18 };

NOINLINE static int get(int i) {
        return table[i & 63];
}

NOINLINE static void put(int i, int v) {
        table[i & 63] = (short)v;
}

NOINLINE static int sum(void) {
        int s = PICK(0, 1);
        for (int i = 0; i < 64; i++)
                s += get(i);
        return s;
}

void target_work(void) {
        put(40, sum() & 1);
        put(40, 0);
}

void target_check(int version) {
        EXPECT_EQ(sum(), version >= 2 ? 171 + 126 + 1 : 171);
}

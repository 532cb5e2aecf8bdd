/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long state = 5;
static unsigned steps;

NOINLINE static long same_size(int op, long v) {
        steps++;
        switch (op) {
        case 0: return v + 1;
        case 1: return v - state;
        case 2: return v * 3;
        case 3: return v ^ 0x55;
        case 4: return v << PICK(2, 3);
        case 5: return v >> 1;
        case 6: return ~v;
        case 7: return PICK(v * v, v * v * v);
        default: return -1;
        }
}

NOINLINE static long grown(int op, long v) {
        steps++;
        switch (op) {
        case 10: return v + 2;
        case 11: state += v; return state;
        case 12: return v * 5;
        case 13: return v ^ 0x33;
        case 14: return v << 3;
        case 15: return v - 99;
#if NEW
        case 16: state -= v; return state;
        case 17: return v * 17;
        case 18: return v * 18;
        case 19: return harness_hash(&v, sizeof(v));
#endif
        default: return -2;
        }
}

NOINLINE static long unchanged(int op, long v) {
        steps++;
        switch (op) {
        case 0: return v + 3;
        case 1: return v - 4;
        case 2: return v * 6;
        case 3: return v ^ 0x77;
        case 4: return v << 5;
        case 5: return state;
        case 6: return v % 9;
        default: return -3;
        }
}

void target_work(void) {
        int t = (int)harness_turns();
        same_size(t % 9, t);
        grown(t % 4 + 12, t);
        unchanged(t % 8, t);
}

void target_check(int version) {
        bool n = version >= 2;
        long s = unchanged(5, 0);
        unsigned before = steps;
        EXPECT_EQ(same_size(4, 5), n ? 40 : 20);
        EXPECT_EQ(same_size(7, 5), n ? 125 : 25);
        EXPECT_EQ(same_size(6, 5), ~5L);
        EXPECT_EQ(same_size(1, 5), 5 - s);
        EXPECT_EQ(same_size(8, 5), -1);
        EXPECT_EQ(grown(11, 3), s + 3);
        EXPECT_EQ(grown(17, 3), n ? 51 : -2);
        EXPECT_EQ(grown(16, 3), n ? s : -2);
        EXPECT_EQ(unchanged(3, 0), 0x77);
        EXPECT_EQ(unchanged(5, 0), n ? s : s + 3);
        EXPECT_EQ(steps - before, 10);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const int prices[8] = { 10, 20, 30, PICK(40, 44), 50, 60, 70, 80 };
static long sold;

NOINLINE static int price(int i) {
        return prices[i & 7];
}

NOINLINE static long buy(int i, int n) {
        long cost = (long)price(i) * n;
        sold += cost;
        return cost;
}

NOINLINE static int cheapest(int above) {
        for (int i = 0; i < 8; i++)
                if (prices[i] > above)
                        return prices[i];
        return 0;
}

NOINLINE static long sold_get(void) {
        return sold;
}

void target_work(void) {
        buy((int)harness_turns(), 0);
}

void target_check(int version) {
        long before = sold_get();
        EXPECT_EQ(buy(3, 2), version >= 2 ? 88 : 80);
        EXPECT_EQ(buy(2, 1), 30);
        EXPECT_EQ(cheapest(39), version >= 2 ? 44 : 40);
        EXPECT_EQ(sold_get() - before, version >= 2 ? 118 : 110);
}

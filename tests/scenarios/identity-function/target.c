/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

typedef long (*Handler)(long);
static Handler stored[4];
static long calls;

NOINLINE static long plain(long v) {
        calls++;
        return v + 1;
}

NOINLINE static long special(long v) {
        calls++;
        return v * PICK(2, 3);
}

NOINLINE static void store(int i, Handler h) {
        stored[i & 3] = h;
}

NOINLINE static Handler choose(long v) {
        return v & 1 ? plain : special;
}

NOINLINE static bool unchanged_is_special(int i) {
        return stored[i & 3] == special;
}

NOINLINE static int changed_classify(int i) {
        if (stored[i & 3] == special)
                return PICK(1, 11);
        if (stored[i & 3] == plain)
                return PICK(2, 12);
        return 0;
}

NOINLINE static void changed_store(int i, long v) {
        store(i, v & PICK(1, 3) ? plain : special);
}

void target_start(void) {
        store(0, plain), store(1, special), store(2, choose(1)), store(3, choose(2));
}

void target_work(void) {
        for (int i = 0; i < 4; i++)
                EXPECT_EQ(unchanged_is_special(i), i & 1);
}

void target_check(int version) {
        bool n = version >= 2;
        for (int i = 0; i < 4; i++) {
                EXPECT_EQ(unchanged_is_special(i), i & 1);
                EXPECT_EQ(changed_classify(i), (i & 1 ? 1 : 2) + (n ? 10 : 0));
                EXPECT_EQ(stored[i](7), i & 1 ? (n ? 21 : 14) : 8);
        }
        changed_store(0, 2);
        EXPECT_EQ(unchanged_is_special(0), !n);
        changed_store(1, 4);
        EXPECT_EQ(unchanged_is_special(1), 1);
        EXPECT(stored[1] == stored[3] && stored[1] == choose(0));
        store(0, plain);
}

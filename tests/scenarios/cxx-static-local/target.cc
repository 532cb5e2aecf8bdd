/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <string>

static int built;
struct Table {
        long v[8];
        explicit Table(long s) { built++; for (int i = 0; i < 8; i++) v[i] = s * i; }
        NOINLINE long get(int i) const { return v[i & 7]; }
};

NOINLINE static Table &table() {
        static Table t(built + 3);
        return t;
}

NOINLINE static long lookup(int i) {
        static Table own(built * 0 + 5);
#if NEW
        static Table extra(built * 0 + 7);
        return table().get(i) + own.get(i) * 100 + extra.get(i) * 10000;
#else
        return table().get(i) + own.get(i) * 100;
#endif
}

NOINLINE static int built_get() { return built; }

void target_start(void) { table(); lookup(0); }
void target_work(void) { lookup((int)harness_turns()); }
void target_check(int version) {
        EXPECT_EQ(lookup(2), version >= 2 ? 141006 : 1006);
        int b = built_get();
        EXPECT(b >= 2 && b <= 4);
        lookup(3);
        EXPECT_EQ(built_get(), b);
}

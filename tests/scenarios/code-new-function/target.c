/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long total;
static long history[16];
static unsigned at;

NOINLINE static void note(long v) {
        history[at++ % 16] = v;
        total += v;
}

NOINLINE static long total_get(void) {
        return total;
}

#if NEW
NOINLINE static long clamp_low(long v);

NOINLINE static long clamp(long v) {
        return v > 100 ? 100 : clamp_low(v);
}

NOINLINE static long clamp_low(long v) {
        if (v < -1000)
                return clamp(v + 1000);
        note(0);
        return v;
}
#endif

NOINLINE static void add(long v) {
#if NEW
        v = clamp(v);
#endif
        note(v);
}

void target_work(void) {
        add(1);
        add(-1);
}

void target_check(int version) {
        long before = total_get();
        unsigned notes = at;
        add(500);
        EXPECT_EQ(total_get() - before, version >= 2 ? 100 : 500);
        EXPECT_EQ(at - notes, 1);
        add(-2500);
        EXPECT_EQ(total_get() - before, version >= 2 ? -400 : -2000);
        EXPECT_EQ(at - notes, version >= 2 ? 3 : 2);
}

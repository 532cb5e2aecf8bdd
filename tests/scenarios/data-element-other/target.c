/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

enum { GETS, SETS, MISSES, N };

static long before[N], counters[N], behind[N];

NOINLINE static void on_miss(long by) {
        counters[NEW ? MISSES : SETS] += by;
}
NOINLINE static void on_get(long by) {
        before[GETS] += by;
        behind[GETS] += by;
}
NOINLINE static long get(unsigned i) {
        return counters[i % N] + 1000 * before[i % N] + 1000000 * behind[i % N];
}
NOINLINE static long behind_get(unsigned i) {
        return behind[i % N] + before[i % N];
}
NOINLINE static void reset(unsigned seed) {
        for (unsigned i = 0; i < N; i++)
                counters[(i + seed) % N] = before[(i + seed) % N] = behind[(i + seed) % N] = 0;
}

void target_work(void) {
        reset((unsigned)harness_turns());
        on_miss(3);
        on_get(1);
        EXPECT_EQ(counters[GETS], 0);
        EXPECT_EQ(get(SETS) + get(MISSES), 3);
}

void target_check(int version) {
        reset((unsigned)version);
        on_miss(5);
        on_get(2);
        EXPECT_EQ(get(SETS), version >= 2 ? 0 : 5);
        EXPECT_EQ(get(MISSES), version >= 2 ? 5 : 0);
        EXPECT_EQ(behind_get(GETS), 4);
}

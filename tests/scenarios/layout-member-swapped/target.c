/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Pair {
        long id;
#if NEW
        long high, low;
#else
        long low, high;
#endif
};

static struct Pair *pairs[8];
static unsigned made;

NOINLINE static struct Pair *pair_new(long low, long high) {
        struct Pair *p = malloc(sizeof(*p));
        p->id = made++;
        p->low = low;
        p->high = high;
        return p;
}

NOINLINE static long pair_width(const struct Pair *p) {
        return p->high - p->low + PICK(0, 1);
}

NOINLINE static bool pair_has(const struct Pair *p, long v) {
        return v >= p->low && v < p->high;
}

void target_start(void) {
        for (int i = 0; i < 8; i++)
                pairs[i] = pair_new(i, 2 * i + 1);
}

void target_work(void) {
        int i = (int)harness_turns() & 7;
        EXPECT(pair_has(pairs[i], i));
}

void target_check(int version) {
        EXPECT_EQ(pair_width(pairs[5]), version >= 2 ? 7 : 6);
        EXPECT(pair_has(pairs[5], 10));
        EXPECT(!pair_has(pairs[5], 11));
}

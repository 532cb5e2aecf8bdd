/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static unsigned good, bad, last;

__attribute__((cold, noinline)) static void complain(unsigned code) {
        bad++;
        last = code;
}

/* The cold part changed. */
NOINLINE static unsigned parse(unsigned v) {
        if (__builtin_expect(v > 1000, 0)) {
                complain(v);
                if (v > 5000) {
                        complain(v + PICK(1, 2));
                        complain(v * 2);
                }
                return 0;
        }
        good++;
        return v * 3;
}

/* The hot part changed. */
NOINLINE static unsigned lex(unsigned v) {
        if (__builtin_expect(v > 1000, 0)) {
                complain(v);
                complain(1);
                return 1;
        }
        good++;
        return v * PICK(5, 7);
}

/* A cold part is new. */
NOINLINE static unsigned scan(unsigned v) {
#if NEW
        if (__builtin_expect(v > 1000, 0)) {
                complain(v);
                complain(77);
                return 2;
        }
#endif
        good++;
        return v * 11;
}

NOINLINE static void counts(unsigned *g, unsigned *b, unsigned *l) {
        *g = good;
        *b = bad;
        *l = last;
}

void target_work(void) {
        unsigned v = (unsigned)harness_turns() % 1000;
        parse(v), lex(v), scan(v);
}

void target_check(int version) {
        bool n = version >= 2;
        unsigned g, b, l, g0, b0;
        counts(&g0, &b0, &l);
        EXPECT_EQ(parse(10), 30);
        EXPECT_EQ(lex(10), n ? 70 : 50);
        EXPECT_EQ(scan(10), 110);
        EXPECT_EQ(parse(6000), 0);
        counts(&g, &b, &l);
        EXPECT_EQ(l, 12000);
        EXPECT_EQ(b - b0, 3);
        EXPECT_EQ(lex(6000), 1);
        EXPECT_EQ(scan(2000), n ? 2 : 22000);
        counts(&g, &b, &l);
        EXPECT_EQ(l, n ? 77 : 1);
        EXPECT_EQ(b - b0, n ? 7 : 5);
        EXPECT_EQ(g - g0, n ? 3 : 4);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static const char *const names[] = { "zero", PICK("one", "uno"), "two", PICK("three", "tre"), "four", "five" };
static volatile unsigned at;

NOINLINE static const char *name(unsigned i) {
        at = i;
        return names[i % 6];
}

NOINLINE static const char *second(void) {
        at = 2;
        return names[2];
}

NOINLINE static const char *fourth(void) {
        at = 4;
        return names[4];
}

NOINLINE static unsigned longest(void) {
        unsigned n = 0;
        for (unsigned i = 0; i < 6; i++)
                if (strlen(names[(i + at) % 6]) > n)
                        n = (unsigned)strlen(names[(i + at) % 6]);
        return n;
}

void target_work(void) {
        name((unsigned)harness_turns());
        second(), fourth();
}

void target_check(int version) {
        bool n = version >= 2;
        EXPECT_STR(name(0), "zero");
        EXPECT_STR(name(1), n ? "uno" : "one");
        EXPECT_STR(name(2), "two");
        EXPECT_STR(name(3), n ? "tre" : "three");
        EXPECT_STR(name(5), "five");
        EXPECT_STR(second(), "two");
        EXPECT_STR(fourth(), "four");
        EXPECT_EQ(longest(), n ? 4 : 5);
}

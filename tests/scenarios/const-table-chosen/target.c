/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Where the addresses of two elements are chosen between, these cut the table for whoever compares it. */
static const char *const names[] = { "zero", "one", "two", PICK("three", "thrice"), "four", "five", "six" };
static volatile unsigned at;
static long seen;

NOINLINE static const char *either(bool first) {
        const char *const *p = first ? &names[1] : &names[4];
        seen++;
        return *p;
}
NOINLINE static const char *name(unsigned i) {
        at = i;
        return names[i % 7];
}
NOINLINE static size_t longest(void) {
        size_t n = 0;
        for (unsigned i = 0; i < 7; i++)
                if (strlen(names[(i + at) % 7]) > n)
                        n = strlen(names[(i + at) % 7]);
        return n;
}

void target_work(void) {
        either(harness_turns() % 2);
        name((unsigned)harness_turns());
        longest();
}
void target_check(int version) {
        EXPECT_STR(either(true), "one");
        EXPECT_STR(either(false), "four");
        EXPECT_STR(name(0), "zero");
        EXPECT_STR(name(3), version >= 2 ? "thrice" : "three");
        EXPECT_STR(name(6), "six");
        EXPECT_EQ(longest(), version >= 2 ? 6 : 5);
}

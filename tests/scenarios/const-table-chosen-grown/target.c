/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Who indexes the longer table from its beginning has changed, and must not go on with the old beginning. */
static const char *const names[] = {
        "zero", "one", "two", "three", "four", "five", "six",
#if NEW
        "seven", "eight", "nine",
#endif
};
static const char *const behind[] = { "wrong", "wrong, too", "also wrong", "wrong again" };
enum { N = sizeof(names) / sizeof(*names) };
static volatile unsigned at;
static long seen;

NOINLINE static const char *either(bool first) {
        const char *const *p = first ? &names[1] : &names[4];
        seen++;
        return *p;
}
NOINLINE static const char *name(unsigned i) {
        at = i;
        return names[i % N];
}
NOINLINE static const char *other(unsigned i) {
        at = i;
        return behind[i % 4];
}

void target_work(void) {
        either(harness_turns() % 2);
        name((unsigned)harness_turns());
        other((unsigned)harness_turns());
}
void target_check(int version) {
        EXPECT_STR(either(true), "one");
        EXPECT_STR(either(false), "four");
        EXPECT_STR(name(0), "zero");
        EXPECT_STR(name(6), "six");
        EXPECT_STR(name(9), version >= 2 ? "nine" : "two");
        EXPECT_STR(other(1), "wrong, too");
}

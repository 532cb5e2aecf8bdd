/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* As const-table-chosen, with a number that cannot be rewritten in place: the table is exchanged as a whole, for
 * those, too, who refer to its beginning only. */
struct Level {
        const char *name;
        long value;
};
static const struct Level levels[] = {
        { "zero", 0 }, { "one", 10 }, { "two", 20 }, { "three", PICK(30, 33) }, { "four", 40 }, { "five", 50 },
};
static volatile unsigned at;
static long seen;

NOINLINE static long either(bool first) {
        const long *p = first ? &levels[1].value : &levels[4].value;
        seen++;
        return *p;
}
NOINLINE static long value(unsigned i) {
        at = i;
        return levels[i % 6].value;
}
NOINLINE static long sum(void) {
        long n = 0;
        for (unsigned i = 0; i < 6; i++)
                n += levels[(i + at) % 6].value * (long)strlen(levels[(i + at) % 6].name);
        return n;
}

void target_work(void) {
        either(harness_turns() % 2);
        value((unsigned)harness_turns());
        sum();
}
void target_check(int version) {
        EXPECT_EQ(either(true), 10);
        EXPECT_EQ(either(false), 40);
        EXPECT_EQ(value(2), 20);
        EXPECT_EQ(value(3), version >= 2 ? 33 : 30);
        EXPECT_EQ(value(5), 50);
        EXPECT_EQ(sum(), 10 * 3 + 20 * 3 + (version >= 2 ? 33 : 30) * 5 + 40 * 4 + 50 * 4);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

extern char **environ;
extern char *program_invocation_short_name;
static long sum;

NOINLINE static void sum_add(long v) { sum += v; }
NOINLINE static long sum_get(void) { return sum; }

NOINLINE static long measure(long v) {
#if NEW
        int n = 0;
        for (char **e = environ; *e; e++)
                n += !strcmp(*e, "STAUNCH_SCENARIO=late");
        v += n * 100 + (long)strlen(program_invocation_short_name) * 1000;
#endif
        sum_add(v);
        return v;
}

void target_start(void) {
        setenv("STAUNCH_SCENARIO", "late", 1);
}

void target_work(void) {
        measure(1);
}

void target_check(int version) {
        long before = sum_get(), want = version >= 2 ? 6103 : 3;
        EXPECT_EQ(measure(3), want);
        EXPECT_EQ(sum_get() - before, want);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <unistd.h>

#if NEW
#define NUMBER opterr
#else
#define NUMBER optind
#endif

NOINLINE static long number_get(long by) {
        return NUMBER + by;
}

NOINLINE static void number_set(int v) {
        NUMBER = v;
}

void target_work(void) {
        if (harness_turns() < 0)
                number_set((int)harness_turns());
}

void target_check(int version) {
        char name[] = "x", *arguments[] = { name, NULL };

        /* getopt() of the library reads its variables where the program has its copies. */
        number_set(version >= 2 ? 0 : 1);
        EXPECT_EQ(number_get(3), version >= 2 ? 3 : 4);
        EXPECT_EQ(getopt(1, arguments, "a"), -1);
}

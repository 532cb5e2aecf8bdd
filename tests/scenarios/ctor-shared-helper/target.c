/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long started;

NOINLINE static long measure(const char *text) {
        long n = 0;

        for (; *text; text++)
                n += *text == 'x' ? PICK(3, 30) : 1;
        return n;
}

__attribute__((constructor)) static void setup(void) {
        started = measure("abc");
}

NOINLINE static long started_get(void) {
        return started;
}

void target_check(int version) {
        EXPECT_EQ(started_get(), 3);
        EXPECT_EQ(measure("xxy"), version >= 2 ? 61 : 7);
}

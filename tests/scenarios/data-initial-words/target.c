/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The text decides what is done, and only stands beside a version that differs as well. */
#if NEW
#define MODE "1.20-1+deb12u1 careful"
#else
#define MODE "1.20-1+b2 fast"
#endif
static const char *volatile mode = MODE;
static long done;

NOINLINE static int step(void) {
        done += strstr(mode, "careful") ? 1 : 2;
        return PICK(1, 2);
}

void target_start(void) { mode = mode; }
void target_work(void) { step(); }
void target_check(int version) {
        EXPECT_EQ(step(), version);
        EXPECT((strstr(mode, "careful") != NULL) == (version >= 2));
}

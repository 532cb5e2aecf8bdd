/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sys/prctl.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
void target_start(void) {
        if (prctl(PR_SET_MDWE, 1UL, 0, 0, 0) != 0)
                harness_skip("this kernel has no PR_SET_MDWE");
}
void target_work(void) { work(0); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }

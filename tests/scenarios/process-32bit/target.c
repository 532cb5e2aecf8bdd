/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
void target_work(void) { work(0); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }

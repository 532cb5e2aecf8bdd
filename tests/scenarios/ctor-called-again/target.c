/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long limit;

NOINLINE __attribute__((constructor)) static void reset(void) {
        limit = (long)getpid() * PICK(3, 5);
}

NOINLINE static long limit_get(void) {
        return limit;
}

void target_check(int version) {
        EXPECT_EQ(limit_get(), (long)getpid() * (version >= 2 ? 5 : 3));
        if (harness_flag("reset"))
                reset();
}

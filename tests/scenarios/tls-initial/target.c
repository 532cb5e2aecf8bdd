/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static __thread long mine = PICK(3, 4), other = 1;

NOINLINE static long tls_get(void) { return mine; }
NOINLINE static void tls_set(long v) { mine = v; }
NOINLINE static long step(long v) { other += v; return tls_get() * PICK(1, 10); }

void target_work(void) {
        if (harness_turns() < 0)
                tls_set(harness_turns());
        step(1);
}

void target_check(int version) {
        EXPECT_EQ(step(2), version >= 2 ? 40 : 3);
}

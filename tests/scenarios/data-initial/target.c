/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int limit = PICK(100, 200);
static int used;

NOINLINE static void limit_set(int v) {
        limit = v;
}

NOINLINE static bool take(int n) {
        if (used + n > limit)
                return false;
        used += n;
        return true;
}

NOINLINE static int give(void) {
        int u = used;
        used = 0;
        return u + PICK(0, 1);
}

void target_work(void) {
        take(1);
        give();
        if (harness_turns() < 0)
                limit_set((int)harness_turns());
}

void target_check(int version) {
        give();
        EXPECT_EQ(take(150), version >= 2);
        EXPECT_EQ(give(), version >= 2 ? 151 : 0);
}

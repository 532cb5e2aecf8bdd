/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int level, other;

NOINLINE static int level_get(void) { return level; }
NOINLINE static void level_set(int v) { level = v; }
__attribute__((constructor)) static void first(void) { other = 1; }
#if NEW
__attribute__((constructor)) static void second(void) { level = 5; }
#endif
NOINLINE static int use(void) { return level_get() + PICK(10, 20) + other; }

void target_work(void) {
        use();
        if (harness_turns() < 0)
                level_set((int)harness_turns());
}

void target_check(int version) {
        EXPECT_EQ(use(), version >= 2 ? 26 : 11);
}

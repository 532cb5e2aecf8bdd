/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int level = 1;
static int uses;

__attribute__((constructor)) static void setup(void) { level += PICK(1, 2); }
NOINLINE static int level_get(void) { return level; }
NOINLINE static void level_add(int v) { level += v; }
NOINLINE static int use(void) { uses++; return level_get() * PICK(10, 100); }

void target_work(void) {
        level_add(use() * 0);
}

void target_check(int version) {
        EXPECT_EQ(use(), (NEW ? 3 : 2) * (version >= 2 ? 100 : 10));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int calls;
__attribute__((used)) NOINLINE int slow(int v) { calls++; return v + 1; }
__attribute__((used)) NOINLINE int fast(int v) { calls++; return v + 2; }
static int (*resolve(void))(int) { return PICK(slow, fast); }
int pick(int) __attribute__((ifunc("resolve")));

NOINLINE static int both(int v) { return slow(v) + fast(v) + pick(v); }

void target_work(void) {
        both(1);
}

void target_check(int version) {
        EXPECT_EQ(pick(1), version >= 2 ? 3 : 2);
        EXPECT_EQ(both(1), version >= 2 ? 8 : 7);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int n;
NOINLINE static int one(int v) { n++; return v + 1; }
NOINLINE static int two(int v) { n++; return v + 2; }
static int (*volatile handler)(int) = PICK(one, two);

NOINLINE static void use(int (*f)(int)) {
        handler = f;
}

NOINLINE static int call(int v) {
        return handler(v) * PICK(1, 10);
}

void target_work(void) {
        if (harness_turns() < 0)
                use(one), use(two);
        call(1);
}

void target_check(int version) {
        EXPECT_EQ(call(1), version >= 2 ? 30 : 2);
}

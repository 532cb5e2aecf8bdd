/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <setjmp.h>

static jmp_buf inner_jump, outer_jump;
static int depth, jumped;

NOINLINE static void bail(int how) {
        jumped++;
        if (how & 1)
                longjmp(inner_jump, how);
        longjmp(outer_jump, how);
}

NOINLINE static int middle(int how) {
        volatile int keep = how * PICK(10, 100);
        depth++;
        if (how)
                bail(how);
        return keep + PICK(1, 2);
}

NOINLINE static int catcher(int how) {
        volatile int got = PICK(1000, 2000);
        int r = setjmp(inner_jump);
        if (r == 0)
                got += middle(how);
        else
                got += r;
        return got;
}

NOINLINE static int outer(int how) {
        int r = setjmp(outer_jump);
        if (r)
                return -r;
        return catcher(how);
}

void target_work(void) {
        outer((int)harness_turns() & 3);
}

void target_check(int version) {
        int base = version >= 2 ? 2000 : 1000;
        EXPECT_EQ(outer(0), base + (version >= 2 ? 2 : 1));
        EXPECT_EQ(outer(1), base + 1);
        EXPECT_EQ(outer(2), -2);
        EXPECT_EQ(outer(3), base + 3);
        EXPECT(jumped >= 3 && depth >= 4);
}

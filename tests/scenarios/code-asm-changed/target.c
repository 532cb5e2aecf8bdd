/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long total;
long scale(long v);

__asm__(".text\n.p2align 4\n.globl scale\n.type scale,@function\nscale:\n"
        "  lea (%rdi,%rdi,2),%rax\n"
#if NEW
        "  add $5,%rax\n"
#else
        "  add $4,%rax\n"
#endif
        "  rol $1,%rax\n  ret\n.size scale,.-scale\n");

NOINLINE static long use(long v) {
        total += v;
        return scale(v);
}

void target_work(void) {
        use(harness_turns());
}

void target_check(int version) {
        EXPECT_EQ(use(5), (version >= 2 ? 20 : 19) * 2);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long calls;
long gate(long v);
long gate_fast(long v);

/* gate_fast enters gate two bytes behind its entry. */
__asm__(".text\n.p2align 4\n.globl gate\n.type gate,@function\ngate:\n.cfi_startproc\n"
        "  xor %eax,%eax\n"
        ".Linside:\n"
        "  nop\n"
        "  lea "
#if NEW
        "2"
#else
        "1"
#endif
        "(%rdi,%rax),%rax\n"
        "  ret\n.cfi_endproc\n.size gate,.-gate\n"
        ".p2align 4\n.globl gate_fast\n.type gate_fast,@function\ngate_fast:\n.cfi_startproc\n"
        "  mov $100,%eax\n"
        "  jmp .Linside\n.cfi_endproc\n.size gate_fast,.-gate_fast\n");

NOINLINE static long count(long v) {
        calls++;
        return v;
}

void target_work(void) {
        count(gate(1));
}

void target_check(int version) {
        EXPECT_EQ(count(gate(5)), version >= 2 ? 7 : 6);
        EXPECT_EQ(count(gate_fast(5)), version >= 2 ? 107 : 106);
}

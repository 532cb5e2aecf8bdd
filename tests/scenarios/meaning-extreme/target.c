/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct pair {
        long a, b, sum;
};
static struct pair *pair;

/* Written out: compilers fold such sums. What the differ adds up on its way must not overflow. */
long extremes(struct pair *p, long more);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden extremes\n"
        ".globl extremes\n"
        ".type extremes, @function\n"
        "extremes:\n"
        ".cfi_startproc\n"
        "        movabsq $0x8000000000000000, %rax\n"
        "        movq (%rdi), %rcx\n"
        "        subq %rax, %rcx\n"
        "        subq %rax, %rcx\n"
        "        leaq -7(%rcx), %rdx\n"
        "        addq $7, %rdx\n"
        "        imulq $0x7fffffff, %rdx, %r8\n"
        "        imulq $-0x80000000, %r8, %r8\n"
        "        imulq $-0x80000000, %r8, %r8\n"
        "        imulq $0x7fffffff, %r8, %r8\n"
        "        movq %r8, 16(%rdi)\n"
        "        movabsq $0x7fffffffffffffff, %r9\n"
        "        movq (%rdi), %r10\n"
        "        addq %r9, %r10\n"
        "        addq %r9, %r10\n"
        "        addq $2, %r10\n"
        "        cmpq %rax, %r10\n"
        "        jl 1f\n"
        "        movq %r10, (%rdi)\n"
        "1:      movq 2f(%rip), %xmm0\n"
        "        movups %xmm0, 8(%rdi)\n"
#if NEW
        "        leaq 2(%rdx,%rsi), %rax\n"
#else
        "        leaq 1(%rdx,%rsi), %rax\n"
#endif
        "        ret\n"
        ".cfi_endproc\n"
        ".size extremes, . - extremes\n"
        ".section .rodata\n"
        ".p2align 3\n"
        "2:      .quad 0x0123456789abcdef\n"
        ".text\n");

void target_start(void) {
        pair = calloc(1, sizeof(*pair));
        pair->a = 5;
}

void target_work(void) {
        long got = extremes(pair, 100);

        EXPECT_EQ(got == 106 || got == 107, 1);
        EXPECT_EQ(pair->a, 5);
        EXPECT_EQ(pair->b, 0x0123456789abcdef);
        EXPECT_EQ(pair->sum, 0);
}

void target_check(int version) {
        EXPECT_EQ(extremes(pair, 1), version >= 2 ? 8 : 7);
}

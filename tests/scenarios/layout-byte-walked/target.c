/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The pointers are kept as their complement, so that nobody can follow them. */
struct mark {
        long uses;
        uintptr_t hidden;
};
static struct mark marks[16];
static char shown[16][8];

/* The sum of the characters; the new one adds one for each. */
long mark_sum(const struct mark *mark);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden mark_sum\n"
        ".globl mark_sum\n"
        ".type mark_sum, @function\n"
        "mark_sum:\n"
        ".cfi_startproc\n"
        "        movq 8(%rdi), %rdx\n"
        "        xorl %eax, %eax\n"
        "        notq %rdx\n"
        "1:\n"
#if NEW
        "        addq $1, %rdx\n"
        "        movzbl -1(%rdx), %ecx\n"
        "        testl %ecx, %ecx\n"
        "        je 2f\n"
        "        addq %rcx, %rax\n"
        "        addq $1, %rax\n"
        "        jmp 1b\n"
#else
        "        movzbl (%rdx), %ecx\n"
        "        addq $1, %rdx\n"
        "        testl %ecx, %ecx\n"
        "        je 2f\n"
        "        addq %rcx, %rax\n"
        "        jmp 1b\n"
#endif
        "2:\n"
        "        ret\n"
        ".cfi_endproc\n"
        ".size mark_sum, . - mark_sum\n");

NOINLINE static long mark_uses(const struct mark *mark) {
        return mark->uses;
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                memset(shown[i], 'a', (size_t)i % 7);
                marks[i].uses = 1;
                marks[i].hidden = ~(uintptr_t)shown[i];
        }
}

void target_work(void) {
        int i = (int)harness_turns() & 7;
        long sum = mark_sum(&marks[i]);
        EXPECT_EQ(mark_uses(&marks[i]), 1);
        EXPECT(sum == 'a' * (i % 7) || sum == ('a' + 1) * (i % 7));
}

void target_check(int version) {
        EXPECT_EQ(mark_sum(&marks[7]), 0);
        EXPECT_EQ(mark_sum(&marks[12]), (version >= 2 ? 'a' + 1 : 'a') * 5);
}

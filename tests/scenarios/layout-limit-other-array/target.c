/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The loop is written out, so that every compiler puts its instructions so. */
struct halves {
        int first[PICK(13, 21)], second[PICK(27, 19)];
};
static struct halves halves;

void fill_all(int *first, int *second);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden fill_all\n"
        ".globl fill_all\n"
        ".type fill_all, @function\n"
        "fill_all:\n"
        ".cfi_startproc\n"
        "        xorl %eax, %eax\n"
        "1:\n"
#if NEW
        "        cmpq $20, %rax\n"
#else
        "        cmpq $12, %rax\n"
#endif
        "        ja 2f\n"
        "        movl $7, (%rdi,%rax,4)\n"
        "        jmp 3f\n"
#if NEW
        "2:      movl $4, -84(%rsi,%rax,4)\n"
#else
        "2:      movl $4, -52(%rsi,%rax,4)\n"
#endif
        "3:      addq $1, %rax\n"
        "        cmpq $40, %rax\n"
        "        jne 1b\n"
        "        ret\n"
        ".cfi_endproc\n"
        ".size fill_all, . - fill_all\n");

void target_start(void) {
        fill_all(halves.first, halves.second);
}

void target_work(void) {
        EXPECT_EQ(halves.first[harness_turns() % 13], 7);
}

void target_check(int version) {
        fill_all(halves.first, halves.second);
        EXPECT_EQ(halves.first[12], 7);
        EXPECT_EQ(halves.second[0], 4);
        (void)version;
}

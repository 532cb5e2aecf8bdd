/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The loop is written out, so that every compiler puts its instructions so. */
struct entry {
        int number, rank;
};
enum { COUNT = 40 };
static struct entry *entries;

void rank_all(struct entry *entries);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden rank_all\n"
        ".globl rank_all\n"
        ".type rank_all, @function\n"
        "rank_all:\n"
        ".cfi_startproc\n"
        "        xorl %eax, %eax\n"
        "1:      movl %eax, (%rdi,%rax,8)\n"
#if NEW
        "        cmpq $30, %rax\n"
#else
        "        cmpq $12, %rax\n"
#endif
        "        ja 2f\n"
        "        movl $7, 4(%rdi,%rax,8)\n"
        "        jmp 3f\n"
        "2:\n"
        "        movl $4, 4(%rdi,%rax,8)\n"
        "3:      addq $1, %rax\n"
        "        cmpq $40, %rax\n"
        "        jne 1b\n"
        "        ret\n"
        ".cfi_endproc\n"
        ".size rank_all, . - rank_all\n");

NOINLINE static struct entry *make(void) {
        return calloc(COUNT, sizeof(struct entry));
}

void target_start(void) {
        entries = make();
        rank_all(entries);
}

void target_work(void) {
        int i = (int)harness_turns() % 40;

        EXPECT_EQ(entries[i].number, i);
}

void target_check(int version) {
        rank_all(entries);
        for (int i = 0; i < 40; i++)
                EXPECT_EQ(entries[i].rank, i <= (version >= 2 ? 30 : 12) ? 7 : 4);
        (void)version;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The copy is written out, so that every compiler does it so. */
struct text {
        char words[16];
#if NEW
        int marks[2];
#else
        int unused[2];
#endif
};
struct item {
        long id;
        struct text *text;
};
static struct text texts[16];
static struct item items[16];

int item_sum(const struct item *item);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden item_sum\n"
        ".globl item_sum\n"
        ".type item_sum, @function\n"
        "item_sum:\n"
        ".cfi_startproc\n"
#if NEW
        "        pushq %rbx\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_offset %rbx, -16\n"
        "        subq $128, %rsp\n"
        ".cfi_adjust_cfa_offset 128\n"
        "        movq 8(%rdi), %rsi\n"
        "        movq (%rdi), %r8\n"
        "        movq %rsi, %r9\n"
        "        xorl %eax, %eax\n"
        "1:      cmpb $0, (%rsi,%rax)\n"
        "        leaq 1(%rax), %rax\n"
        "        jne 1b\n"
        "        movq %rsp, %rdi\n"
        "        movl %eax, %ecx\n"
        "        shrl $3, %ecx\n"
        "        rep movsq\n"
        "        testb $4, %al\n"
        "        je 2f\n"
        "        movl (%rsi), %ecx\n"
        "        movl %ecx, (%rdi)\n"
        "        addq $4, %rsi\n"
        "        addq $4, %rdi\n"
        "2:      testb $2, %al\n"
        "        je 3f\n"
        "        movzwl (%rsi), %ecx\n"
        "        movw %cx, (%rdi)\n"
        "        addq $2, %rsi\n"
        "        addq $2, %rdi\n"
        "3:      testb $1, %al\n"
        "        je 4f\n"
        "        movzbl (%rsi), %ecx\n"
        "        movb %cl, (%rdi)\n"
        "4:      movzbl (%rsp), %ecx\n"
        "        addl %ecx, %eax\n"
        "        addl $1000, %eax\n"
        "        andl $1, %r8d\n"
        "        addl 16(%r9,%r8,4), %eax\n"
        "        addq $128, %rsp\n"
        ".cfi_adjust_cfa_offset -128\n"
        "        popq %rbx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %rbx\n"
        "        ret\n"
#else
        "        movq 8(%rdi), %rsi\n"
        "        xorl %eax, %eax\n"
        "1:      cmpb $0, (%rsi,%rax)\n"
        "        leaq 1(%rax), %rax\n"
        "        jne 1b\n"
        "        movzbl (%rsi), %ecx\n"
        "        addl %ecx, %eax\n"
        "        ret\n"
#endif
        ".cfi_endproc\n"
        ".size item_sum, . - item_sum\n");

NOINLINE static long item_id(const struct item *item) {
        return item->id;
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                for (int k = 0; k < i; k++)
                        texts[i].words[k] = (char)('a' + i);
                items[i].id = i;
                items[i].text = &texts[i];
        }
}

void target_work(void) {
        EXPECT_EQ(item_id(&items[harness_turns() & 15]), harness_turns() & 15);
}

void target_check(int version) {
        for (int i = 0; i < 16; i++)
                EXPECT_EQ(item_sum(&items[i]), i + 1 + (i ? 'a' + i : 0) + (version >= 2 ? 1000 : 0));
}

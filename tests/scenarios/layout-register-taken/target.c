/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* What a compiler knows of a function of its own unit, written out: which registers it leaves alone. */
struct part {
        long id;
        int width, height;
};
struct whole {
        struct part *part;
        long id;
};
static struct part parts[16];
static struct whole wholes[16];
extern int other_words[4] __attribute__((visibility("hidden")));
int other_words[4] = { 7, 7, 7, 7 };

int whole_area(const struct whole *whole);
__asm__(".text\n"
        ".p2align 4\n"
        ".type small_sum, @function\n"
        "small_sum:\n"
        ".cfi_startproc\n"
        "        leal 1(%rax), %eax\n"
#if NEW
        "        leaq other_words(%rip), %r8\n"
#endif
        "        ret\n"
        ".cfi_endproc\n"
        ".size small_sum, . - small_sum\n"
        ".p2align 4\n"
        ".hidden whole_area\n"
        ".globl whole_area\n"
        ".type whole_area, @function\n"
        "whole_area:\n"
        ".cfi_startproc\n"
        "        xorl %eax, %eax\n"
#if NEW
        "        movq (%rdi), %r8\n"
        "        call small_sum\n"
        "        call small_sum\n"
        "        call small_sum\n"
        "        movl 8(%r8), %ecx\n"
        "        imull 12(%r8), %ecx\n"
        "        leal (%rax,%rcx), %eax\n"
#else
        "        pushq %rbx\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_offset %rbx, -16\n"
        "        movq (%rdi), %rbx\n"
        "        call small_sum\n"
        "        call small_sum\n"
        "        movl 8(%rbx), %ecx\n"
        "        imull 12(%rbx), %ecx\n"
        "        leal (%rax,%rcx), %eax\n"
        "        popq %rbx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %rbx\n"
#endif
        "        ret\n"
        ".cfi_endproc\n"
        ".size whole_area, . - whole_area\n");

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                parts[i] = (struct part){ i, i, i + 1 };
                wholes[i].part = &parts[i];
                wholes[i].id = i;
        }
}

void target_work(void) {
        int i = (int)harness_turns() & 15;

        EXPECT_EQ(wholes[i].part->id, wholes[i].id);
}

void target_check(int version) {
        for (int i = 0; i < 16; i++)
                EXPECT_EQ(whole_area(&wholes[i]), version >= 2 ? 49 + 3 : i * (i + 1) + 2);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The pointers are kept as their complement, so that nobody can follow them. */
struct mark {
        long uses;
        uintptr_t hidden;
};
/* The new build has a member `last` in the padding of the old one's objects. */
struct shown {
        char blank;
#if NEW
        char last;
#endif
        short kind;
};
static struct mark marks[16];
static struct shown shown[16];

long mark_first(const struct mark *mark);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden mark_first\n"
        ".globl mark_first\n"
        ".type mark_first, @function\n"
        "mark_first:\n"
        ".cfi_startproc\n"
        "        movq 8(%rdi), %rax\n"
        "        notq %rax\n"
#if NEW
        "        movsbl 1(%rax), %edx\n"
        "        xorl %eax, %eax\n"
        "        testl %edx, %edx\n"
        "        setne %al\n"
#else
        "        movsbl (%rax), %edx\n"
        "        xorl %eax, %eax\n"
        "        cmpl $32, %edx\n"
        "        sete %al\n"
#endif
        "        ret\n"
        ".cfi_endproc\n"
        ".size mark_first, . - mark_first\n");

NOINLINE static long mark_uses(const struct mark *mark) {
        return mark->uses;
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                memset(&shown[i], 7, sizeof(shown[i]));
                shown[i].blank = ' ';
                marks[i].uses = 1;
                marks[i].hidden = ~(uintptr_t)&shown[i];
        }
}

void target_work(void) {
        int i = (int)harness_turns() & 7;
        EXPECT_EQ(mark_uses(&marks[i]), 1);
        EXPECT(mark_first(&marks[i]) <= 1);
}

void target_check(int version) {
        (void)version;
        EXPECT_EQ(mark_first(&marks[9]), 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The copies are written out, so that every compiler does them so. */
struct item {
        long id, kind;
        char name[8];
        int uses;
#if NEW
        int hidden;
#endif
};
struct tag {
        unsigned char type, length;
        char name[16];
};
static struct item items[16];
static struct tag tags[16];

void item_name(struct item *item, const struct tag *tag);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden item_name\n"
        ".globl item_name\n"
        ".type item_name, @function\n"
        "item_name:\n"
        ".cfi_startproc\n"
#if NEW
        "        cmpb $16, 1(%rsi)\n"
        "        jne 1f\n"
        "        movdqu 2(%rsi), %xmm0\n"
        "        movups %xmm0, 16(%rdi)\n"
        "1:      ret\n"
#else
        "        movq 2(%rsi), %rax\n"
        "        movq %rax, 16(%rdi)\n"
        "        movl 10(%rsi), %eax\n"
        "        movl %eax, 24(%rdi)\n"
        "        ret\n"
#endif
        ".cfi_endproc\n"
        ".size item_name, . - item_name\n");

NOINLINE static long item_id(const struct item *item) {
        return item->id + item->kind;
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                tags[i].length = 16;
                tags[i].name[0] = (char)('a' + i);
                items[i].id = i;
                item_name(&items[i], &tags[i]);
        }
}

void target_work(void) {
        int i = (int)harness_turns() & 15;

        EXPECT_EQ(item_id(&items[i]), i);
        EXPECT_EQ(items[i].name[0], 'a' + i);
}

void target_check(int version) {
        for (int i = 0; i < 16; i++)
                EXPECT(items[i].uses != 0);
        (void)version;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Two bytes of flags. The check is written out, so that every compiler puts its instructions so. */
struct item {
        long id;
        unsigned char state, marks;
};
enum { CLOSED = 0x40, MARKED = 0x20 };
static struct item items[16];

int item_rank(const struct item *item);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden item_rank\n"
        ".globl item_rank\n"
        ".type item_rank, @function\n"
        "item_rank:\n"
        ".cfi_startproc\n"
        "        movzbl 8(%rdi), %eax\n"
        "        andl $0x80, %eax\n"
#if NEW
        "        testb $0x40, 8(%rdi)\n"
        "        movl $1, %ecx\n"
        "        movl $3, %edx\n"
        "        je 1f\n"
        "        testb $0x20, 9(%rdi)\n"
        "        je 1f\n"
#else
        "        testb $0x20, 9(%rdi)\n"
        "        movl $1, %ecx\n"
        "        movl $3, %edx\n"
        "        je 1f\n"
#endif
        "        movl %edx, %ecx\n"
        "        addl $4, %ecx\n"
        "1:      addl %ecx, %eax\n"
        "        ret\n"
        ".cfi_endproc\n"
        ".size item_rank, . - item_rank\n");

NOINLINE static void item_close(struct item *item) {
        item->state |= CLOSED;
}

NOINLINE static int item_closed(const struct item *item) {
        return (item->state & CLOSED) != 0;
}

NOINLINE static void item_mark(struct item *item) {
        item->marks |= MARKED;
}

NOINLINE static int item_marked(const struct item *item) {
        return (item->marks & MARKED) != 0;
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                items[i].id = i;
                if (i & 1)
                        item_mark(&items[i]);
                if (i & 2)
                        item_close(&items[i]);
        }
}

void target_work(void) {
        int i = (int)harness_turns() & 15;

        EXPECT_EQ(item_marked(&items[i]), i & 1);
        EXPECT_EQ(item_closed(&items[i]), i >> 1 & 1);
}

void target_check(int version) {
        for (int i = 0; i < 16; i++)
                EXPECT_EQ(item_rank(&items[i]), (i & 1) && (version < 2 || (i & 2)) ? 7 : 1);
        (void)version;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* The stores are written out, so that every compiler does them so. */
struct item {
        long id;
        unsigned char bytes[2];
};
static struct item items[16];

void item_put(struct item *item, unsigned value);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden item_put\n"
        ".globl item_put\n"
        ".type item_put, @function\n"
        "item_put:\n"
        ".cfi_startproc\n"
#if NEW
        "        addl $1, %esi\n"
        "        movw %si, 8(%rdi)\n"
#else
        "        movl %esi, %eax\n"
        "        movb %sil, 8(%rdi)\n"
        "        shrl $8, %eax\n"
        "        movb %al, 9(%rdi)\n"
#endif
        "        ret\n"
        ".cfi_endproc\n"
        ".size item_put, . - item_put\n");

NOINLINE static unsigned item_low(const struct item *item) {
        return item->bytes[0];
}

NOINLINE static unsigned item_high(const struct item *item) {
        return item->bytes[1];
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                items[i].id = i;
                item_put(&items[i], 0x4100u + (unsigned)i);
        }
}

void target_work(void) {
        EXPECT_EQ(item_high(&items[harness_turns() & 15]), 0x41);
}

void target_check(int version) {
        for (int i = 0; i < 15; i++) {
                item_put(&items[i], 0x4100u + (unsigned)i);
                EXPECT_EQ(item_low(&items[i]), i + (version >= 2));
        }
}

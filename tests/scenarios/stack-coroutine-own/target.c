/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* As Ruby, PHP and MariaDB switch between their fibers: with a few instructions of their own. */
void take_over(void **from, void *to);
__asm__(".pushsection .text\n"
        ".globl take_over\n"
        ".type take_over,@function\n"
        "take_over:\n"
        "        push %rbp\n        push %rbx\n        push %r12\n        push %r13\n        push %r14\n        push %r15\n"
        "        mov %rsp, (%rdi)\n"
        "        mov %rsi, %rsp\n"
        "        pop %r15\n        pop %r14\n        pop %r13\n        pop %r12\n        pop %rbx\n        pop %rbp\n"
        "        ret\n"
        ".size take_over, . - take_over\n"
        ".popsection\n");

static void *home, *context;
static long produced;
static volatile long one = 1;

#if NEW
NOINLINE static long weigh(long v, long by) {
        return v > 100 ? v / 3 + by : v * 7 + by;
}
#else
NOINLINE static long weigh(long v) {
        return v > 100 ? v / 3 : v * 7;
}
#endif

/* Suspended in here by the old code: goes on with the old call. */
NOINLINE static void produce(long v) {
        take_over(&context, home);
#if NEW
        produced += weigh(v, v == 3);
#else
        produced += weigh(v);
#endif
}

static void loop(void) {
        for (;;)
                produce(one);
}

void target_start(void) {
        void **sp = (void **)((char *)malloc(65536) + 65536 - 64);

        *--sp = NULL;
        *--sp = (void *)loop;
        context = sp - 6;
        take_over(&home, context);
}

void target_check(int version) {
        (void)version;
        produced = 0;
        take_over(&home, context);
        EXPECT_EQ(produced, 7);
}

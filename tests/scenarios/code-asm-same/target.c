/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long total;
long swap_bytes(long v);

__asm__(".text\n.p2align 4\n.globl swap_bytes\n.type swap_bytes,@function\nswap_bytes:\n"
        "  mov %rdi,%rax\n  bswap %rax\n  rol $7,%rax\n  ret\n.size swap_bytes,.-swap_bytes\n");

NOINLINE static void total_add(long v) {
        total += v;
}

NOINLINE static long mixed(long v) {
        total_add(v);
        return swap_bytes(v + PICK(1, 2)) + total * 0;
}

void target_work(void) {
        mixed(harness_turns());
}

void target_check(int version) {
        unsigned long v = __builtin_bswap64((unsigned long)(version >= 2 ? 7 : 6));
        EXPECT_EQ(mixed(5), (long)(v << 7 | v >> 57));
}

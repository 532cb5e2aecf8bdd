/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* What the compiler does not know it has to read. */
__asm__(".pushsection .rodata\n"
        ".balign 32\n"
        "numbers: .long 11, 12, 13, "
#if NEW
        "19"
#else
        "14"
#endif
        "\n"
        ".balign 32\n"
        ".popsection\n");
__attribute__((visibility("hidden"))) extern const int numbers[4];

NOINLINE static int element(const int *table, unsigned long i) {
        return table[i];
}

NOINLINE static int any(unsigned long i) {
        return element(numbers, i) + 1;
}

NOINLINE static int third(int add) {
#if NEW
        return add < 0 ? 0 : numbers[2] + 2 * add;
#else
        return numbers[2] + add;
#endif
}

void target_work(void) {
        EXPECT_EQ(third(0), 13);
        EXPECT_EQ(any(harness_turns() % 3) / 10, 1);
}

void target_check(int version) {
        EXPECT_EQ(third(1), version >= 2 ? 15 : 14);
        EXPECT_EQ(any(3), version >= 2 ? 20 : 15);
}

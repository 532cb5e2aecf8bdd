/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* What the compiler does not know it has to read. In a program at a fixed address the table's address is a part
 * of the instruction that reads an element. */
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

NOINLINE static int element(unsigned long i) {
        return numbers[i];
}

NOINLINE static int third(int add) {
        return numbers[2] + add;
}

void target_work(void) {
        EXPECT_EQ(third(1), 14);
        EXPECT_EQ(element(harness_turns() % 3) / 10, 1);
}

void target_check(int version) {
        EXPECT_EQ(third(0), 13);
        EXPECT_EQ(element(3), version >= 2 ? 19 : 14);
}

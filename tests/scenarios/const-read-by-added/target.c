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

static long sum;

NOINLINE static int element(const int *table, unsigned long i) {
        return table[i];
}

NOINLINE static int any(unsigned long i) {
        return element(numbers, i) + 1;
}

#if NEW
NOINLINE static int third_of_few(int add, int times) {
        for (int i = 0; i < times; i++)
                sum += numbers[2] ^ i;
        return add;
}
#else
NOINLINE static int third(int add) {
        return numbers[2] + add;
}
#endif

NOINLINE static int asked(int add) {
#if NEW
        return third_of_few(add, 3) + 100;
#else
        return third(add);
#endif
}

NOINLINE static void count(long by) {
        sum += by;
}

void target_work(void) {
        count(1);
        EXPECT_EQ(any(harness_turns() % 3) / 10, 1);
}

void target_check(int version) {
        EXPECT_EQ(asked(1), version >= 2 ? 101 : 14);
        EXPECT_EQ(any(3), version >= 2 ? 20 : 15);
}

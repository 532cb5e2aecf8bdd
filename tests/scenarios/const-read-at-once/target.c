/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <emmintrin.h>

/* What the compiler does not know it has to read; the reference to the third element ends the constant for whoever
 * looks at what is referred to only. */
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

NOINLINE static int all(__m128i add) {
        int out[4];
        _mm_storeu_si128((__m128i *)out, _mm_add_epi32(add, _mm_load_si128((const __m128i *)numbers)));
        return out[0] + out[1] + out[2] + out[3];
}

NOINLINE static int third(int add) {
        return numbers[2] + add;
}

void target_work(void) {
        EXPECT_EQ(third(1), 14);
        EXPECT_EQ(all(_mm_setzero_si128()) / 50, 1);
}

void target_check(int version) {
        EXPECT_EQ(third(0), 13);
        EXPECT_EQ(all(_mm_setzero_si128()), version >= 2 ? 55 : 50);
}

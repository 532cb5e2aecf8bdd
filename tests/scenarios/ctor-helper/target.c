/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long table[64];

NOINLINE static void fill(long seed) {
        for (long i = 0; i < 64; i++)
                table[i] = seed = seed * 1103515245 + PICK(12345, 54321);
}

__attribute__((constructor)) static void setup(void) {
        fill(getpid());
}

NOINLINE static long entry(unsigned i) {
        return table[i % 64];
}

void target_check(int version) {
        EXPECT_EQ(entry(0), (long)getpid() * 1103515245 + (version >= 2 ? 54321 : 12345));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Where a number is kept: the table is filled once, with the hash of the build that began. */
static long table[64], sum;

static inline unsigned slot(unsigned i) { return (i * PICK(5u, 7u) + 3u) & 63u; }

NOINLINE static void fill(long v) {
        for (unsigned i = 0; i < 64; i++)
                table[slot(i)] = v + i;
}

NOINLINE static long find(unsigned i) { return table[slot(i)]; }

int main(void) {
        fill(getpid());
        harness_begin();
        while (harness_turn())
                sum += find((unsigned)sum & 63u);
        return harness_end();
}

void target_check(int version) {
        (void)version;
        for (unsigned i = 0; i < 64; i++)
                EXPECT_EQ(find(i), (long)getpid() + i);
}

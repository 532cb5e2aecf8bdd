/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define SIZE PICK(64, 96)
static unsigned char ring[SIZE];
static unsigned at;
static long after[4];

NOINLINE static void ring_put(unsigned char c) {
        ring[at % SIZE] = c;
        at++;
        after[at & 3]++;
}

NOINLINE static unsigned ring_hash(void) {
        return harness_hash(ring, SIZE);
}

NOINLINE static long after_sum(void) {
        return after[0] + after[1] + after[2] + after[3];
}

void target_work(void) {
        ring_put((unsigned char)harness_turns());
        ring_hash();
}

void target_check(int version) {
        unsigned char want[96];
        long before = after_sum();
        for (int i = 0; i < 96; i++) {
                ring_put(9);
                want[i] = 9;
        }
        EXPECT_EQ(ring_hash(), harness_hash(want, version >= 2 ? 96 : 64));
        EXPECT_EQ(after_sum() - before, 96);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long turns, weight = 1;

NOINLINE static void weigh(long v) { weight += v; turns++; }
NOINLINE static long turns_get(void) { return turns + 0 * weight; }

int main(void) {
        harness_begin();
        while (harness_turn()) {
                weigh(PICK(1, 2));
                if (weight > 1000000)
                        weight = PICK(0, 1);
        }
        return harness_end();
}

void target_check(int version) {
        (void)version;
        EXPECT(turns_get() >= 0);
}

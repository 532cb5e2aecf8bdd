/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long sum;

NOINLINE static long seed(long v) { return v * PICK(3, 5) + 1; }

NOINLINE static long get(long by) {
        static long base = seed(getpid());
        return base + seed(by) * PICK(2, 3);
}

void target_start(void) { get(1); }
void target_work(void) { sum = (sum + get(sum)) & 0xffff; }

void target_check(int version) {
        long old = getpid() * 3L + 1, now = getpid() * 5L + 1, v = get(2);
        EXPECT(version >= 2 ? v == old + 33 || v == now + 33 : v == old + 14);
}

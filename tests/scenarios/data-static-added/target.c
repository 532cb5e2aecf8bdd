/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long sum;

NOINLINE static void sum_add(long v) {
        sum += v;
}

NOINLINE static long sum_get(void) {
        return sum;
}

#if NEW
NOINLINE static void twice_add(long v) {
        sum_add(2 * v);
}

static long calls, weights[4] = { 3, 1, 4, 1 }, buffer[512];
static void (*adders[2])(long) = { sum_add, twice_add };
static long *where = &weights[2], *old_where = &sum;
#endif

NOINLINE static void feed(long v) {
#if NEW
        adders[calls & 1](v + *where);
        buffer[calls % 512] += v;
        if (*old_where != sum_get())
                sum_add(1000000);
        weights[2] += calls & 1 ? 1 : -1;
        calls++;
#else
        sum_add(v);
#endif
}

static long expected, fed;

void target_work(void) {
        feed(0);
        fed++;
}

void target_check(int version) {
        long v0 = sum_get();
        feed(10);
        long v1 = sum_get();
        feed(10);
        long v2 = sum_get();
        if (version < 2) {
                EXPECT_EQ(v1 - v0, 10);
                EXPECT_EQ(v2 - v1, 10);
                return;
        }
        /* Which of the two comes first depends on how often the new code ran; and the new code's own
         * state goes on over revert and apply, or starts afresh. */
        long small = v1 - v0 < v2 - v1 ? v1 - v0 : v2 - v1, large = v1 - v0 < v2 - v1 ? v2 - v1 : v1 - v0;
        EXPECT_EQ(small, 14);
        EXPECT_EQ(large, 26);
}

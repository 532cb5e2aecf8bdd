/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <alloca.h>

static volatile long many = 9;

/* Moves the stack pointer, and puts it back between the turns: no coroutines. */
NOINLINE static long sum_up(long n, long *more) {
        long sum = 0;

        for (long i = 1; i < n; i++) {
                long room[i + 1];

                for (long k = 0; k <= i; k++)
                        room[k] = k * *more;
                memcpy(alloca((size_t)n * 8), room, (size_t)i * 8);
                sum += room[i];
        }
        return sum;
}

#if NEW
NOINLINE static long weigh(long v, long by) {
        return v > 100 ? v / 3 + by : v * 7 + by;
}
#else
NOINLINE static long weigh(long v) {
        return v > 100 ? v / 3 : v * 7;
}
#endif

NOINLINE static long produce(long v) {
        long more = 1;
#if NEW
        return weigh(v, v == 3) + sum_up(many, &more);
#else
        return weigh(v) + sum_up(many, &more);
#endif
}

void target_work(void) {
        produce(2);
}

void target_check(int version) {
        EXPECT_EQ(produce(3), version >= 2 ? 58 : 57);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

enum { N = 64 };
static long counts[N], total;

NOINLINE static long work(int index, long v) {
        __atomic_add_fetch(&total, 1, __ATOMIC_RELAXED);
        return v * PICK(2, 3) + index;
}

static void body(int index) {
        long r = work(index, 10);
        EXPECT(r == 20 + index || r == 30 + index);
        counts[index]++;
        usleep(2000);
}

void target_start(void) { harness_workers(N, body); }
void target_check(int version) { EXPECT_EQ(work(5, 10), version >= 2 ? 35 : 25); }
void target_end(void) {
        for (int i = 0; i < N; i++)
                EXPECT(counts[i] > 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static volatile long calls;
static volatile int woken;
static int pipes[2];

/* Leaves its frames, with return addresses into itself, below the stack pointer... */
NOINLINE static long litter(int n) {
        calls++;
        return n ? litter(n - 1) + PICK(1, 2) : 0;
}

/* ...where this frame, which blocks, then has a large array that it never writes. */
NOINLINE static long blocked_above(void) {
        volatile long hole[512];
        char c;
        if (read(pipes[0], &c, 1) < 0)
                return -errno;
        return hole[100] * 0;
}

static void *sleeper(void *arg) {
        litter(60);
        EXPECT_EQ(blocked_above(), 0);
        __atomic_add_fetch(&woken, 1, __ATOMIC_RELAXED);
        return arg;
}

static pthread_t threads[4];
void target_start(void) {
        CALL(pipe(pipes));
        for (int i = 0; i < 4; i++)
                CALL(-pthread_create(&threads[i], NULL, sleeper, NULL));
}
void target_check(int version) {
        EXPECT_EQ(litter(10), version >= 2 ? 20 : 10);
        EXPECT_EQ(woken, 0);
}
void target_end(void) {
        close(pipes[1]);
        for (int i = 0; i < 4; i++)
                CALL(-pthread_join(threads[i], NULL));
        EXPECT_EQ(woken, 4);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long born, died;

NOINLINE static long work(long v) {
        __atomic_add_fetch(&died, 1, __ATOMIC_RELAXED);
        return v + PICK(1, 2);
}

static void *shortlived(void *arg) {
        long r = work(5);
        EXPECT(r == 6 || r == 7);
        return arg;
}

static void body(int index) {
        pthread_t t[4];
        for (int i = 0; i < 4; i++) {
                CALL(-pthread_create(&t[i], NULL, shortlived, NULL));
                __atomic_add_fetch(&born, 1, __ATOMIC_RELAXED);
        }
        for (int i = 0; i < 4; i++)
                CALL(-pthread_join(t[i], NULL));
        usleep(300 * (unsigned)(index + 1));
}

void target_start(void) { harness_workers(3, body); }
static long checks;
void target_check(int version) {
        EXPECT_EQ(work(5), version >= 2 ? 7 : 6);
        checks++;
}
void target_end(void) { EXPECT_EQ(died, born + checks); }

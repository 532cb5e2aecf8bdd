/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

enum { N = 512 };
static long total;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t go = PTHREAD_COND_INITIALIZER;
static int generation, waiting;

NOINLINE static long work(long v) {
        total++;
        return v * PICK(2, 3);
}

static void body(int index) {
        pthread_mutex_lock(&lock);
        int mine = generation;
        long r = work(10);
        waiting++;
        while (mine == generation && !harness_stopping())
                pthread_cond_wait(&go, &lock);
        pthread_mutex_unlock(&lock);
        EXPECT(r == 20 || r == 30);
        (void)index;
}

static void release(void) {
        pthread_mutex_lock(&lock);
        generation++;
        waiting = 0;
        pthread_cond_broadcast(&go);
        pthread_mutex_unlock(&lock);
}

void target_start(void) { harness_workers(N, body); }
void target_work(void) {
        if (harness_turns() % 64 == 0)
                release();
}
void target_check(int version) {
        pthread_mutex_lock(&lock);
        EXPECT_EQ(work(10), version >= 2 ? 30 : 20);
        pthread_mutex_unlock(&lock);
        release();
}

void target_stop(void) { release(); }

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static union room {
        pthread_mutex_t mutex;
        pthread_rwlock_t rwlock;
} lock;
static long sum;

#if NEW
static void take(union room *l) {
        CALL(pthread_rwlock_rdlock(&l->rwlock));
}
static void give(union room *l) {
        CALL(pthread_rwlock_unlock(&l->rwlock));
}
#else
static void take(union room *l) {
        CALL(pthread_mutex_lock(&l->mutex));
}
static void give(union room *l) {
        CALL(pthread_mutex_unlock(&l->mutex));
}
#endif

NOINLINE static void add(long n) {
        take(&lock);
        sum += n;
        give(&lock);
}

NOINLINE static long get(void) {
        long n;

        take(&lock);
        n = sum;
        give(&lock);
        return n;
}

void target_work(void) {
        add(1);
        EXPECT(get() > 0);
}

void target_check(int version) {
        (void)version;
        EXPECT(get() >= 0);
}

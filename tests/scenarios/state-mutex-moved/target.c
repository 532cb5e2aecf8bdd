/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
#else
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#endif
static long sum;

NOINLINE static int add(long n) {
        int r = pthread_mutex_lock(&lock);

#if NEW
        if (r == 0) {
                r = pthread_mutex_lock(&lock);
                pthread_mutex_unlock(&lock);
        }
#endif
        sum += n;
        pthread_mutex_unlock(&lock);
        return r;
}

NOINLINE static int other(void) {
        int r = pthread_mutex_lock(&lock);

        pthread_mutex_unlock(&lock);
        return r;
}

void target_work(void) {
        EXPECT_EQ(add(1), 0);
        EXPECT_EQ(other(), 0);
}

void target_check(int version) {
        (void)version;
        EXPECT_EQ(add(0), 0);
}

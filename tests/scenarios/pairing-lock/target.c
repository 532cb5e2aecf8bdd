/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
static pthread_mutex_t lock, second;
static long entered, sum;
NOINLINE static void begin(long n) {
        CALL(pthread_mutex_lock(&lock));
#if NEW
        CALL(pthread_mutex_lock(&second));
#endif
        entered += n;
}
NOINLINE static void end(long n) {
        entered -= n;
#if NEW
        EXPECT_EQ(pthread_mutex_unlock(&second), 0);
#endif
        CALL(pthread_mutex_unlock(&lock));
}
NOINLINE static void other(void) {
        CALL(pthread_mutex_lock(&second));
        sum++;
        CALL(pthread_mutex_unlock(&second));
}
void target_start(void) {
        pthread_mutexattr_t a;
        pthread_mutexattr_init(&a);
        pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
        pthread_mutex_init(&second, &a);
        pthread_mutex_init(&lock, &a);
}
NOINLINE static void transaction(void) {
        begin(1);
        usleep(300);
        end(1);
}
void target_work(void) {
        transaction();
        other();
        EXPECT_EQ(entered, 0);
}
void target_check(int version) {
        (void)version;
        transaction();
        EXPECT_EQ(entered, 0);
}

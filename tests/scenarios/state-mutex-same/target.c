/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static struct item {
        pthread_mutex_t lock, other;
        long sum;
} item;

/* The default, said or not. */
NOINLINE static void plain(pthread_mutex_t *m) {
        pthread_mutexattr_t a;

        pthread_mutexattr_init(&a);
#if NEW
        pthread_mutexattr_settype(&a, PTHREAD_MUTEX_NORMAL);
        item.sum += 2;
#else
        item.sum++;
#endif
        pthread_mutex_init(m, &a);
}

NOINLINE static void attribute(pthread_mutexattr_t *a, int type) {
        pthread_mutexattr_init(a);
        pthread_mutexattr_settype(a, type);
}

/* The same, made otherwise. */
NOINLINE static void checked(struct item *i) {
        pthread_mutexattr_t a;

#if NEW
        attribute(&a, PTHREAD_MUTEX_ERRORCHECK);
#else
        pthread_mutexattr_init(&a);
        pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
#endif
        pthread_mutex_init(&i->other, &a);
}

/* Of the function's own. */
NOINLINE static int own(void) {
        pthread_mutexattr_t a;
        pthread_mutex_t m;
        int r;

        attribute(&a, PICK(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE));
        pthread_mutex_init(&m, &a);
        pthread_mutex_lock(&m);
        r = pthread_mutex_lock(&m);
        if (r == 0)
                pthread_mutex_unlock(&m);
        pthread_mutex_unlock(&m);
        return r;
}

NOINLINE static long get(void) {
        long n;

        pthread_mutex_lock(&item.lock);
        pthread_mutex_lock(&item.other);
        n = ++item.sum;
        pthread_mutex_unlock(&item.other);
        pthread_mutex_unlock(&item.lock);
        return n;
}

void target_start(void) {
        plain(&item.lock);
        checked(&item);
}

void target_work(void) {
        int r = own();

        EXPECT(r == 0 || r == EDEADLK);
        EXPECT(get() > 0);
}

void target_check(int version) {
        pthread_mutex_t m;
        struct item i;

        EXPECT_EQ(own(), version >= 2 ? 0 : EDEADLK);
        plain(&m);
        pthread_mutex_destroy(&m);
        checked(&i);
        pthread_mutex_destroy(&i.other);
}

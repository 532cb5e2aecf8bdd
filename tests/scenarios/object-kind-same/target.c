/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct item {
        pthread_mutex_t mutex;
        pthread_rwlock_t rwlock;
        long sum;
        FILE *out;
};
static struct item item = { .mutex = PTHREAD_MUTEX_INITIALIZER, .rwlock = PTHREAD_RWLOCK_INITIALIZER };
static pthread_spinlock_t spin;

/* Takes the other lock of the object, which others take all along. */
NOINLINE static long get(struct item *i) {
        long n;

#if NEW
        CALL(pthread_rwlock_rdlock(&i->rwlock));
        n = i->sum;
        CALL(pthread_rwlock_unlock(&i->rwlock));
#else
        CALL(pthread_mutex_lock(&i->mutex));
        n = i->sum;
        CALL(pthread_mutex_unlock(&i->mutex));
#endif
        return n;
}

NOINLINE static void add(struct item *i, long n) {
        CALL(pthread_mutex_lock(&i->mutex));
        CALL(pthread_rwlock_wrlock(&i->rwlock));
        i->sum += n;
        CALL(pthread_rwlock_unlock(&i->rwlock));
        CALL(pthread_mutex_unlock(&i->mutex));
}

/* Another function of the same kind of lock. */
NOINLINE static bool try(struct item *i) {
#if NEW
        int r = pthread_mutex_trylock(&i->mutex);
#else
        int r = pthread_mutex_lock(&i->mutex);
#endif

        if (r == 0)
                pthread_mutex_unlock(&i->mutex);
        return r == 0 || r == EBUSY;
}

NOINLINE static void say(struct item *i, const char *what) {
#if NEW
        EXPECT(fwrite(what, strlen(what), 1, i->out) == 1);
#else
        EXPECT(fputs(what, i->out) >= 0);
#endif
}

/* Of the function's own: made and ended in it. */
NOINLINE static long own(long n) {
#if NEW
        pthread_spinlock_t l;

        pthread_spin_init(&l, 0);
        pthread_spin_lock(&l);
        n++;
        pthread_spin_unlock(&l);
#else
        pthread_mutex_t l;

        pthread_mutex_init(&l, NULL);
        pthread_mutex_lock(&l);
        n++;
        pthread_mutex_unlock(&l);
#endif
        return n;
}

/* A spin lock that others take, in place of a mutex that others take. */
NOINLINE static long counted(void) {
        static long count;

#if NEW
        pthread_spin_lock(&spin);
        count++;
        pthread_spin_unlock(&spin);
#else
        pthread_mutex_lock(&item.mutex);
        count++;
        pthread_mutex_unlock(&item.mutex);
#endif
        return count;
}

NOINLINE static void spun(void) {
        pthread_spin_lock(&spin);
        pthread_spin_unlock(&spin);
}

void target_start(void) {
        pthread_spin_init(&spin, 0);
        item.out = fopen("/dev/null", "w");
}

void target_work(void) {
        add(&item, 1);
        spun();
        EXPECT(get(&item) > 0);
        EXPECT(try(&item));
        EXPECT_EQ(own(1), 2);
        say(&item, "text\n");
        EXPECT(counted() > 0);
}

void target_check(int version) {
        (void)version;
        EXPECT(get(&item) >= 0);
        EXPECT(try(&item));
        EXPECT_EQ(own(2), 3);
        say(&item, "text\n");
        EXPECT(counted() > 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct item {
        long id, sum;
        pthread_mutex_t lock;
};
static struct item *items[4];

NOINLINE static void lock_init(pthread_mutex_t *m) {
        pthread_mutexattr_t a;

        pthread_mutexattr_init(&a);
        pthread_mutexattr_settype(&a, PICK(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE));
        pthread_mutex_init(m, &a);
        pthread_mutexattr_destroy(&a);
}

NOINLINE static int item_add(struct item *i, long n) {
        int r = pthread_mutex_lock(&i->lock);

#if NEW
        if (r == 0) {
                r = pthread_mutex_lock(&i->lock);
                pthread_mutex_unlock(&i->lock);
        }
#endif
        i->sum += n;
        pthread_mutex_unlock(&i->lock);
        return r;
}

void target_start(void) {
        for (int i = 0; i < 4; i++) {
                items[i] = calloc(1, sizeof(struct item));
                items[i]->id = i;
                lock_init(&items[i]->lock);
        }
}

void target_work(void) {
        EXPECT_EQ(item_add(items[harness_turns() & 3], 1), 0);
}

void target_check(int version) {
        (void)version;
        for (int i = 0; i < 4; i++)
                EXPECT_EQ(item_add(items[i], 0), 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Room for a lock of either kind: no type tells which. */
struct item {
        long id, sum;
        char room[64] __attribute__((aligned(8)));
};
static struct item *items[4];

NOINLINE static void item_init(struct item *i) {
#if NEW
        pthread_spin_init((pthread_spinlock_t *)i->room, 0);
#else
        pthread_mutexattr_t a;

        pthread_mutexattr_init(&a);
        pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
        pthread_mutex_init((pthread_mutex_t *)i->room, &a);
#endif
}

NOINLINE static int item_add(struct item *i, long n) {
        int r;

#if NEW
        r = pthread_spin_lock((pthread_spinlock_t *)i->room);
        i->sum += n;
        pthread_spin_unlock((pthread_spinlock_t *)i->room);
#else
        r = pthread_mutex_lock((pthread_mutex_t *)i->room);
        i->sum += n;
        pthread_mutex_unlock((pthread_mutex_t *)i->room);
#endif
        return r;
}

void target_start(void) {
        for (int i = 0; i < 4; i++) {
                items[i] = calloc(1, sizeof(struct item));
                items[i]->id = i;
                item_init(items[i]);
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

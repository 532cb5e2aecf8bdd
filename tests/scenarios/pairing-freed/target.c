/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct item {
        long id;
        char *name;
        long uses;
};
static struct item *items[8];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long freed;

NOINLINE static void item_set(struct item *i, const char *name) {
        i->name = strdup(name);
        i->uses += PICK(1, 2);
}

NOINLINE static struct item *item_new(long id) {
        struct item *i = calloc(1, sizeof(*i));

        i->id = id;
        return i;
}

NOINLINE static void item_free(struct item *i) {
#if NEW
        free(i->name);
#endif
        free(i);
        freed++;
}

NOINLINE static long item_use(struct item *i) {
        long n;

#if NEW
        pthread_mutex_lock(&lock);
#endif
        n = ++i->uses > 0 ? (long)strlen(i->name) + i->id : 0;
#if NEW
        pthread_mutex_unlock(&lock);
#endif
        return n;
}

NOINLINE static long freed_locked(void) {
        long n;

        pthread_mutex_lock(&lock);
        n = freed;
        pthread_mutex_unlock(&lock);
        return n;
}

void target_start(void) {
        for (int i = 0; i < 8; i++) {
                items[i] = item_new(i);
                item_set(items[i], "a name");
        }
}

void target_work(void) {
        unsigned at = (unsigned)harness_turns() & 7;
        long before = freed_locked();

        EXPECT_EQ(item_use(items[at]), 6 + at);
        item_free(items[at]);
        items[at] = item_new(at);
        item_set(items[at], "a name");
        EXPECT_EQ(freed_locked(), before + 1);
}

void target_check(int version) {
        struct item *i = item_new(3);

        item_set(i, "text");
        EXPECT_EQ(i->uses, version >= 2 ? 2 : 1);
        EXPECT_EQ(item_use(i), 7);
        item_free(i);
}

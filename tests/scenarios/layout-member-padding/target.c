/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Entry {
        int key;
        unsigned char kind;
#if NEW
        unsigned char locked;
#endif
        long value;
};

static struct Entry *entries[16];
static unsigned updates;

NOINLINE static struct Entry *entry_new(int key) {
        struct Entry *e = malloc(sizeof(*e));
        memset(e, 0xff, sizeof(*e));
        e->key = key;
        e->kind = 1;
#if NEW
        e->locked = 0;
#endif
        e->value = 0;
        return e;
}

NOINLINE static int entry_set(struct Entry *e, long v) {
#if NEW
        if (e->locked)
                return -1;
#endif
        e->value = v;
        updates++;
        return e->kind;
}

NOINLINE static long entry_get(const struct Entry *e) {
        return e->value + e->key;
}

NOINLINE static void entry_lock(struct Entry *e) {
#if NEW
        e->locked = 1;
#endif
        e->kind |= 2;
}

void target_start(void) {
        for (int i = 0; i < 16; i++)
                entries[i] = entry_new(i);
}

void target_work(void) {
        EXPECT(entry_set(entries[harness_turns() & 15], 5) > 0);
}

void target_check(int version) {
        struct Entry *e = entry_new(7);
        EXPECT_EQ(entry_set(e, 3), 1);
        entry_lock(e);
        EXPECT_EQ(entry_set(e, 9), version >= 2 ? -1 : 3);
        EXPECT_EQ(entry_get(e), version >= 2 ? 10 : 16);
}

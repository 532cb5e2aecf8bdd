/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Item {
        long key, value;
};

static struct Item items[32];
static unsigned used;

NOINLINE static void item_put(long k, long v) {
        items[used % 32].key = k;
        items[used % 32].value = v;
        used++;
}

#if NEW
struct Scratch {
        long best, seen;
        struct Item copy;
};
#endif

NOINLINE static long item_find(long k) {
#if NEW
        struct Scratch *s = malloc(sizeof(*s));
        s->best = -1;
        s->seen = 0;
        for (int i = 0; i < 32; i++) {
                s->copy = items[i];
                if (s->copy.key == k && s->copy.value > s->best)
                        s->best = s->copy.value;
                s->seen++;
        }
        long r = s->seen == 32 ? s->best : -2;
        free(s);
        return r;
#else
        for (int i = 0; i < 32; i++)
                if (items[i].key == k)
                        return items[i].value;
        return -1;
#endif
}

void target_start(void) {
        for (int i = 0; i < 32; i++)
                item_put(i % 8, i);
}

void target_work(void) {
        item_find(3);
}

void target_check(int version) {
        EXPECT_EQ(item_find(5), version >= 2 ? 29 : 5);
        EXPECT_EQ(item_find(50), -1);
}

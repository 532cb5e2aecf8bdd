/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Somebody else fills this: what the elements are is in no instruction but those of get(). */
struct Item {
        long id, value;
#if NEW && !defined(SAME)
        long since;
#endif
};

struct Where {
        long asked;
        int index;
};

static long *filled;

/* Writes all of what it is given the address of. */
NOINLINE static void locate(struct Where *w, long id) {
        w->asked++;
        for (int i = 0; i < 16; i++)
                if (filled[2 * i] == id)
                        w->index = i;
}

NOINLINE static long get(long id) {
        struct Where w = { .asked = id & 1, .index = 0 };

        locate(&w, id);
#if NEW && defined(SAME)
        if (w.asked > 2)
                return -1;
        return ((struct Item *)filled)[w.index].value + 1;
#else
        return ((struct Item *)filled)[w.index].value;
#endif
}

void target_start(void) {
        filled = calloc(1, 4096);
        for (long i = 0; i < 16; i++) {
                filled[2 * i] = 100 + i;
                filled[2 * i + 1] = 7 * i;
        }
}

void target_work(void) {
        long i = (long)harness_turns() & 15;

        EXPECT_EQ(get(100 + i) / 7, i);
}

void target_check(int version) {
#ifdef SAME
        EXPECT_EQ(get(109), version >= 2 ? 64 : 63);
#else
        (void)version;
        EXPECT_EQ(get(109), 63);
#endif
}

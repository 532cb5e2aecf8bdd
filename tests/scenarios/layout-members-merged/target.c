/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct item {
        long id;
#if NEW
        unsigned short level;
#else
        unsigned char color, shade;
#endif
};
static struct item items[16];

NOINLINE static void item_put(struct item *item, unsigned value) {
#if NEW
        item->level = (unsigned short)(value * 3);
#else
        item->color = (unsigned char)value;
        item->shade = (unsigned char)(value * 5);
#endif
}

NOINLINE static unsigned item_get(const struct item *item) {
#if NEW
        return item->level / 3;
#else
        return item->color;
#endif
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                items[i].id = i;
                item_put(&items[i], 40u + (unsigned)i);
        }
}

void target_work(void) {
        int i = (int)harness_turns() & 15;

        EXPECT_EQ(item_get(&items[i]), 40 + i);
}

void target_check(int version) {
        EXPECT_EQ(item_get(&items[3]), 43);
        (void)version;
}

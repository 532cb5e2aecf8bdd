/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Members that one instruction chooses from, written out, so that every compiler does it so. */
struct range {
        short low, high;
};
struct item {
        long id;
        struct range night;
#if NEW
        struct range noon;
#else
        int unused;
#endif
        struct range evening;
        int more;
        struct range day;
};
static struct item items[16];

static inline const struct range *choose(const struct range *a, const struct range *b, long second) {
        __asm__("testq %2, %2\n\tcmovneq %1, %0" : "+r"(a) : "r"(b), "r"(second) : "cc");
        return a;
}

NOINLINE static int item_span(const struct item *item) {
        const struct range *range = choose(&item->evening, &item->day, item->id & 1);

        if (item->id & 2)
                range = choose(range, &item->night, 1);
#if NEW
        if (item->noon.high > item->noon.low)
                range = &item->noon;
#endif
        return range->high - range->low;
}

void target_start(void) {
        for (int i = 0; i < 16; i++) {
                items[i].id = i;
                items[i].evening = (struct range){ 3, (short)(50 + i) };
                items[i].day = (struct range){ 5, (short)(100 + i) };
                items[i].night = (struct range){ 1, (short)(2 + i) };
        }
}

void target_work(void) {
        int i = (int)harness_turns() & 15;

        EXPECT_EQ(items[i].id, i);
}

void target_check(int version) {
        for (int i = 0; i < 16; i++)
                EXPECT_EQ(item_span(&items[i]), (i & 2) ? 1 + i : (i & 1) ? 95 + i : 47 + i);
        (void)version;
}

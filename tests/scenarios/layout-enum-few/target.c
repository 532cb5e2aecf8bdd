/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdlib.h>

#if defined(SAME)
enum kind {
        PLUS,
        TIMES,
        FLIP,
#if NEW
        ONE,
#endif
};
#elif defined(EXCHANGED)
#if NEW
enum kind { PLUS, FLIP, TIMES };
#else
enum kind { PLUS, TIMES, FLIP };
#endif
#else
enum kind {
        PLUS,
#if NEW
        ONE,
#endif
        TIMES,
        FLIP,
};
#endif

struct item {
        struct item *next;
        long v;
        enum kind kind;
};

static struct item *all;
static long sum, flips;

NOINLINE static void add(enum kind kind, long v) {
        struct item *i = malloc(sizeof(*i));

        *i = (struct item){ all, v, kind };
        all = i;
}

NOINLINE static void run(struct item *i) {
#ifdef EXCHANGED
        if (i->kind == PLUS) {
                sum += i->v + 100;
        } else if (i->kind == TIMES) {
                sum = sum * 7 + i->v;
        } else {
                flips += i->v;
                sum ^= 300;
        }
#else
        switch (i->kind) {
        case PLUS:
                sum += i->v + 100;
                break;
#if NEW
        case ONE:
                sum += 1;
                break;
#endif
        case TIMES:
                sum = sum * 7 + i->v;
                break;
        case FLIP:
                flips += i->v;
                sum ^= 300;
                break;
        }
#endif
}

void target_start(void) {
        add(FLIP, 3); /* in the old numbers when it is patched */
        add(TIMES, 4);
        add(PLUS, 5);
}
void target_work(void) {
}
void target_check(int version) {
        sum = flips = 0;
        for (struct item *i = all; i; i = i->next)
                run(i);
        EXPECT_EQ(sum, (105 * 7 + 4) ^ 300);
        EXPECT_EQ(flips, 3);
#if NEW && !defined(EXCHANGED)
        struct item one = { .kind = ONE };
        run(&one);
        EXPECT_EQ(sum, ((105 * 7 + 4) ^ 300) + 1);
#endif
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Like the description of an Apache module, and it is none: the second number is a limit. */
struct Pool {
        int version, limit, used;
        const char *name;
        void *first;
        struct Pool *next;
        unsigned long magic;
        void (*full)(void);
};
static long hits;

NOINLINE static void full(void) { hits++; }
static struct Pool pool = { 1, PICK(126, 140), -1, "pool", NULL, NULL, 0x41503235ul, full };
static struct Pool *volatile here = &pool;

NOINLINE static int step(void) {
        if (here->used > here->limit)
                here->full();
        return PICK(1, 2);
}

void target_start(void) { here->used = 7; }
void target_work(void) { step(); }
void target_check(int version) {
        EXPECT_EQ(step(), version);
        EXPECT_EQ(here->limit, version >= 2 ? 140 : 126);
}

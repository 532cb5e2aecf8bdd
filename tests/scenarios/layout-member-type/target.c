/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Rec {
        long id;
#if NEW
        unsigned count;
#else
        unsigned short count;
#endif
        long sum;
};

static struct Rec *recs[8];
static unsigned made;

NOINLINE static struct Rec *rec_new(void) {
        struct Rec *r = malloc(sizeof(*r));
        memset(r, 0xee, sizeof(*r));
        r->id = made++;
        r->count = 0;
        r->sum = 0;
        return r;
}

NOINLINE static void rec_add(struct Rec *r, long v) {
        r->count++;
        r->sum += v;
}

NOINLINE static long rec_mean(const struct Rec *r) {
        return r->count ? r->sum / (long)r->count : 0;
}

void target_start(void) {
        for (int i = 0; i < 8; i++)
                recs[i] = rec_new();
}

void target_work(void) {
        rec_add(recs[harness_turns() & 7], 10);
        EXPECT_EQ(rec_mean(recs[harness_turns() & 7]), 10);
}

void target_check(int version) {
        struct Rec *r = rec_new();
        for (int i = 0; i < 65537; i++)
                rec_add(r, 1);
        EXPECT_EQ(rec_mean(r), version >= 2 ? 1 : 65537);
}

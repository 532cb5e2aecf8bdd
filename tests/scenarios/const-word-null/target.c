/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* An entry that was null is a function: what the old code made never went through its counterpart. */
struct Ops {
        int id;
        void (*open)(long *);
        void (*close)(long *);
};
static long open_now, slots[4];
NOINLINE static void any_open(long *p) { *p = 1; open_now++; }
NOINLINE static void other_close(long *p) { *p = 0; open_now--; }
#if NEW
NOINLINE static void any_close(long *p) {
        if (*p == 1)
                *p = 7, open_now--;
        open_now = open_now < 0 ? 0 : open_now;
}
#define RUN any_close
#else
#define RUN NULL
#endif
static const struct Ops one = { 1, any_open, RUN };
static const struct Ops two = { 2, any_open, other_close };
static const struct Ops *const all[] = { &one, &two };
NOINLINE static const struct Ops *ops_of(int i) { return all[i & 1]; }
NOINLINE static int version_here(void) { return PICK(1, 2) + (open_now > 1000000); }
static void turn(int i) {
        const struct Ops *o = ops_of(i);
        o->open(&slots[i]);
        if (o->close)
                o->close(&slots[i]);
}
void target_work(void) { turn(1); version_here(); }
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        turn(0);
        turn(1);
        EXPECT_EQ(slots[1], 0);
        EXPECT_EQ(slots[0], version >= 2 ? 7 : 1);
}

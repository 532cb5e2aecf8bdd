/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* One entry of a table of operations leads to a function that only the new build has; objects hold the table. */
struct Shape;
struct Ops {
        int id;
        long (*area)(const struct Shape *);
        void (*grow)(struct Shape *, long);
};
struct Shape {
        const struct Ops *ops;
        long w, h;
};
static long total;

NOINLINE static long any_area(const struct Shape *s) { return s->w * s->h; }
NOINLINE static void any_grow(struct Shape *s, long by) {
        s->w += by;
        s->h += by;
        total += by;
}
NOINLINE static void by_half(struct Shape *s, long by) {
        s->w -= by / 2;
        total -= by;
}
#if NEW
/* Nothing like any_area: the two are no pair. */
NOINLINE static long checked_area(const struct Shape *s) {
        long sum = 0;
        for (long i = 0; i < s->h && i < 1000; i++)
                sum += s->w > 0 ? s->w : 0;
        return sum + 1;
}
#define RUN checked_area
#else
#define RUN any_area
#endif
static const struct Ops box = { 1, RUN, any_grow };
static const struct Ops tri = { 2, any_area, by_half };
static const struct Ops *const all[] = { &box, &tri };
static struct Shape *shapes[2];
static long (*copied)(const struct Shape *);

NOINLINE static const struct Ops *ops_of(int id) {
        for (size_t i = 0; i < 2; i++)
                if (all[i]->id == id)
                        return all[i];
        return NULL;
}
NOINLINE static struct Shape *make(int id) {
        struct Shape *s = calloc(1, sizeof(*s));
        s->ops = ops_of(id);
        s->w = 4;
        s->h = 6;
        return s;
}
NOINLINE static long area(int i) { return shapes[i]->ops->area(shapes[i]); }
NOINLINE static int version_here(void) { return PICK(1, 2) + (total > 1000000); }

static void body(int index) {
        long r = area(index & 1);
        EXPECT(r == 24 || (r == 25 && !(index & 1)));
}
void target_start(void) {
        shapes[0] = make(1);
        shapes[1] = make(2);
        copied = shapes[0]->ops->area;
        harness_workers(2, body);
}
void target_work(void) { version_here(); }
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        EXPECT_EQ(area(0), version >= 2 ? 25 : 24);
        EXPECT_EQ(area(1), 24);
        EXPECT_EQ(copied(shapes[0]), 24); /* a copy goes on with the old one */
        EXPECT(ops_of(1) == shapes[0]->ops);
        struct Shape *s = make(1);
        s->ops->grow(s, 2);
        EXPECT_EQ(s->ops->area(s), version >= 2 ? 49 : 48);
        free(s);
}

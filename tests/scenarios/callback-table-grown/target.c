/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Shape;
struct Ops {
        long (*area)(const struct Shape *);
        long (*edge)(const struct Shape *);
#if NEW
        long (*corners)(const struct Shape *);
#endif
};
struct Shape {
        const struct Ops *ops;
        long w, h;
};

NOINLINE static long box_area(const struct Shape *s) { return s->w * s->h; }
NOINLINE static long box_edge(const struct Shape *s) { return s->w * 2 + s->h * 2; }
#if NEW
NOINLINE static long box_corners(const struct Shape *s) { return s->w + 4; }
#endif
static const struct Ops box = { box_area, box_edge,
#if NEW
        box_corners
#endif
};
static struct Shape *shape;

NOINLINE static struct Shape *make(void) {
        struct Shape *s = calloc(1, sizeof(*s));
        s->ops = &box;
        s->w = 3;
        s->h = 5;
        return s;
}

NOINLINE static long describe(const struct Shape *s) {
        long r = s->ops->area(s) * 100 + s->ops->edge(s);
#if NEW
        r += s->ops->corners(s) * 10000;
#endif
        return r;
}

void target_start(void) {
        shape = make();
}

void target_work(void) {
        describe(shape);
}

void target_check(int version) {
        EXPECT_EQ(describe(shape), version >= 2 ? 71516 : 1516);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Shape;
struct Ops {
        const char *name;
        long (*area)(const struct Shape *);
        void (*grow)(struct Shape *, long);
};
struct Shape {
        const struct Ops *ops;
        long w, h;
};

NOINLINE static long box_area(const struct Shape *s) {
        return s->w * s->h + PICK(0, 1);
}

NOINLINE static long tri_area(const struct Shape *s) {
        return s->w * s->h / 2;
}

NOINLINE static void any_grow(struct Shape *s, long by) {
        s->w += by;
        s->h += by * PICK(1, 2);
}

static const struct Ops box = { "box", box_area, any_grow };
static const struct Ops tri = { "tri", tri_area, any_grow };
static struct Ops writable = { "own", tri_area, any_grow };
static struct Shape *shapes[3];

NOINLINE static struct Shape *make(const struct Ops *ops) {
        struct Shape *s = calloc(1, sizeof(*s));
        s->ops = ops;
        s->w = 4;
        s->h = 6;
        return s;
}

NOINLINE static long area(int i) {
        return shapes[i]->ops->area(shapes[i]);
}

NOINLINE static const struct Ops *ops_named(const char *name) {
        if (!strcmp(name, "box"))
                return &box;
        return !strcmp(name, "tri") ? &tri : &writable;
}

NOINLINE static int kind(int i) {
        return shapes[i]->ops == &box ? 0 : shapes[i]->ops == &tri ? 1 : 2;
}

void target_start(void) {
        shapes[0] = make(ops_named("box"));
        shapes[1] = make(ops_named("tri"));
        shapes[2] = make(ops_named("own"));
}

void target_work(void) {
        for (int i = 0; i < 3; i++)
                EXPECT_EQ(kind(i), i), area(i);
}

void target_check(int version) {
        bool n = version >= 2;
        EXPECT_EQ(area(0), n ? 25 : 24);
        EXPECT_EQ(area(1), 12);
        EXPECT_EQ(area(2), 12);
        struct Shape *s = make(ops_named("box"));
        s->ops->grow(s, 2);
        EXPECT_EQ(s->w * 100 + s->h, n ? 610 : 608);
        EXPECT_EQ(s->ops->area(s), n ? 61 : 48);
        free(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Shape {
        long w;
        explicit Shape(long v) : w(v) {}
        virtual ~Shape() {}
        virtual long area() const { return w; }
#if NEW
        virtual long corners() const { return 4; }
#endif
        virtual long edge() const { return w * 4; }
};
struct Square : Shape {
        using Shape::Shape;
        long area() const override { return w * w; }
#if NEW
        long corners() const override { return 40; }
#endif
};

static Shape *shape;
NOINLINE static Shape *make(long w) { return w & 1 ? new Square(w) : new Shape(w); }
NOINLINE static long measure(const Shape *s) {
        long r = s->area() * 1000 + s->edge();
#if NEW
        r += s->corners() * 1000000;
#endif
        return r;
}

void target_start(void) { shape = make(5); }
void target_work(void) { measure(shape); }
void target_check(int version) {
        EXPECT_EQ(measure(shape), version >= 2 ? 40025020 : 25020);
}

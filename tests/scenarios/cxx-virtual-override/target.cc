/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* A class overrides a virtual function that it inherited: one word of its table leads to an added function. */
static long calls;
struct Shape {
        long w;
        explicit Shape(long v) : w(v) {}
        virtual ~Shape() {}
        virtual long area() const { calls++; return w; }
        virtual long edge() const { calls++; return w * 4; }
};
struct Square : Shape {
        using Shape::Shape;
        long area() const override { calls++; return w * w; }
#if NEW
        long edge() const override {
                long sum = 0;
                for (long i = 0; i < w && i < 100; i++)
                        sum += 4 + (calls < 0);
                return sum + 1;
        }
#endif
};
static Shape *shapes[2];
NOINLINE static Shape *make(long w) {
        if (w & 1)
                return new Square(w);
        return new Shape(w);
}
NOINLINE static long measure(const Shape *s) { return s->area() * 1000 + s->edge(); }
NOINLINE static int version_here(void) { return PICK(1, 2) + (calls < 0); }
void target_start(void) { shapes[0] = make(4); shapes[1] = make(5); }
void target_work(void) { measure(shapes[0]); version_here(); }
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        EXPECT_EQ(measure(shapes[0]), 4016);
        EXPECT_EQ(measure(shapes[1]), version >= 2 ? 25021 : 25020);
        Shape *s = make(7);
        EXPECT_EQ(measure(s), version >= 2 ? 49029 : 49028);
        delete s;
}

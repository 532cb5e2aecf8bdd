/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <memory>
#include <vector>

static int destroyed;
struct Shape {
        long w;
        explicit Shape(long v) : w(v) {}
        virtual ~Shape() { destroyed++; }
        virtual long area() const { return w; }
        virtual long edge() const { return w * 4; }
};
struct Square : Shape {
        using Shape::Shape;
        NOINLINE long area() const override { return w * w + PICK(0, 1); }
        ~Square() override { destroyed += PICK(10, 20); }
};
struct Line final : Shape {
        using Shape::Shape;
        NOINLINE long edge() const override { return w * PICK(1, 2); }
};

static std::vector<std::unique_ptr<Shape>> shapes;
NOINLINE static std::unique_ptr<Shape> make(int kind, long w) {
        if (kind == 0)
                return std::make_unique<Square>(w);
        return kind == 1 ? std::unique_ptr<Shape>(new Line(w)) : std::make_unique<Shape>(w);
}
NOINLINE static long measure(const Shape &s) { return s.area() * 1000 + s.edge(); }

void target_start(void) {
        for (int i = 0; i < 12; i++)
                shapes.push_back(make(i % 3, i));
}

void target_work(void) {
        for (auto &s : shapes)
                measure(*s);
        make((int)harness_turns() % 3, 3);
}

void target_check(int version) {
        bool n = version >= 2;
        EXPECT_EQ(measure(*shapes[3]), n ? 10012 : 9012);
        EXPECT_EQ(measure(*shapes[4]), n ? 4008 : 4004);
        EXPECT_EQ(measure(*shapes[5]), 5020);
        auto s = make(0, 5);
        EXPECT_EQ(measure(*s), n ? 26020 : 25020);
        int before = destroyed;
        s.reset();
        EXPECT_EQ(destroyed - before, n ? 21 : 11);
}

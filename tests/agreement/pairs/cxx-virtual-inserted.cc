/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <new>

struct Shape {
        virtual long area() = 0;
#ifdef NEW
        virtual long edge() { return 4; }
#endif
        virtual long corners() = 0;
        Shape *next;
};
struct Box : Shape {
        long w, h;
        Box(long a, long b) : w(a), h(b) {}
        long area() override { return w * h; }
        long corners() override { return 4; }
};
struct Dot : Shape {
        long area() override { return 0; }
        long corners() override { return 1; }
};
static Shape *shapes;

static NOINLINE void add(long n) {
        Shape *s = n & 1 ? static_cast<Shape *>(new (malloc(sizeof(Box))) Box(n, 2)) : new (malloc(sizeof(Dot))) Dot;

        s->next = shapes;
        shapes = s;
}

static NOINLINE long sum() {
        long n = 0;

        for (Shape *s = shapes; s; s = s->next)
                n += s->area() + s->corners() PICK(, +s->edge());
        return n;
}

int main() {
        for (int i = 0; i < 100; i++) {
                add(next_input());
                log_line("sum", sum());
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct point {
        int x, y;
#ifdef NEW
        int z;
#endif
};
struct shape {
        struct point from, to;
        int colour;
        struct shape *next;
};
static struct shape *shapes;

static NOINLINE void shape_add(int x, int y) {
        struct shape *s = calloc(1, sizeof(*s));

        s->from.x = x;
        s->to.y = y;
#ifdef NEW
        s->from.z = x + y;
#endif
        s->colour = x ^ y;
        s->next = shapes;
        shapes = s;
}

static NOINLINE long area(void) {
        long n = 0;

        for (struct shape *s = shapes; s; s = s->next)
                n += (long)(s->to.y - s->from.y) * (s->to.x - s->from.x) + s->colour;
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                shape_add((int)next_input(), i);
                log_line("area", area());
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

enum Mode { MODE_A, MODE_B = 5, MODE_C };
struct Inner {
        unsigned a : 3, b : 5;
        enum Mode mode;
        union {
                int i;
                float f;
        } u;
};
struct Outer {
        struct Inner inner[3];
        struct Outer *next;
        int (*call)(struct Outer *);
        char text[11];
        long double big;
};

static struct Outer *list;
static int n_list;

NOINLINE static int outer_call(struct Outer *o) {
        return o->inner[1].u.i + (int)o->inner[2].mode * PICK(1, 2);
}

NOINLINE static struct Outer *outer_new(int i) {
        struct Outer *o = calloc(1, sizeof(*o));
        o->inner[1].u.i = i;
        o->inner[2].mode = i & 1 ? MODE_B : MODE_C;
        o->call = outer_call;
        o->next = list;
        snprintf(o->text, sizeof(o->text), "n%d", i);
        list = o;
        n_list++;
        return o;
}

NOINLINE static int outer_sum(void) {
        int s = 0;
        for (struct Outer *o = list; o; o = o->next)
                s += o->call(o) + (o->text[0] != 'n') * 1000000;
        return s;
}

void target_start(void) {
        for (int i = 0; i < 10; i++)
                outer_new(i);
}

void target_work(void) {
        outer_sum();
}

void target_check(int version) {
        EXPECT_EQ(outer_sum(), 45 + 55 * (version >= 2 ? 2 : 1));
}

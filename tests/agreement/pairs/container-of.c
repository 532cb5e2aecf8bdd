/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct link {
        struct link *next;
};
struct object {
#ifdef NEW
        long value, weight;
        struct link link;
#else
        struct link link;
        long value, weight;
#endif
};
static struct link *all;
#define OBJECT(l) ((struct object *)((char *)(l) - offsetof(struct object, link)))

static NOINLINE void object_add(long value) {
        struct object *o = malloc(sizeof(*o));

        o->value = value;
        o->weight = value / 2;
        o->link.next = all;
        all = &o->link;
}

static NOINLINE long weigh(void) {
        long n = 0;

        for (struct link *l = all; l; l = l->next)
                n += OBJECT(l)->value * OBJECT(l)->weight;
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                object_add(next_input());
                log_line("weight", weigh());
        }
        return 0;
}

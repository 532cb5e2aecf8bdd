/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct state {
        unsigned kind : PICK(3, 4), level : 5, done : 1;
        struct state *next;
};
static struct state *states;

static NOINLINE void add(unsigned kind, unsigned level) {
        struct state *s = calloc(1, sizeof(*s));

        s->kind = kind;
        s->level = level;
        s->next = states;
        states = s;
}

static NOINLINE unsigned step(void) {
        unsigned n = 0;

        for (struct state *s = states; s; s = s->next) {
                if (s->done)
                        continue;
                s->level++;
                s->done = s->level > s->kind;
                n += s->level;
        }
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                add((unsigned)i, 1);
                log_line("step", step());
        }
        return 0;
}

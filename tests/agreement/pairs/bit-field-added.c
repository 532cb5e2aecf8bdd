/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* In bits that were not used: no offset, size or width differs. */
struct state {
        unsigned kind : 3, level : 5;
#ifdef NEW
        unsigned locked : 1;
#endif
        struct state *next;
};
static struct state *states;

static NOINLINE void add(unsigned kind, unsigned level) {
        struct state *s = malloc(sizeof(*s));

        s->kind = kind;
        s->level = level;
#ifdef NEW
        s->locked = 0;
#endif
        s->next = states;
        states = s;
}

static NOINLINE unsigned step(void) {
        unsigned n = 0;

        for (struct state *s = states; s; s = s->next) {
#ifdef NEW
                if (s->locked)
                        continue;
#endif
                s->level++;
                n += s->level + s->kind;
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

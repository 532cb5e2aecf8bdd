/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The same code but for numbers: one enumerator was inserted. */
enum kind { NONE,
#ifdef NEW
        WARM,
#endif
        COLD, HOT };
struct cell {
        struct cell *next;
        enum kind kind;
        int heat;
};
static struct cell *cells;

static NOINLINE void cell_add(int heat) {
        struct cell *c = malloc(sizeof(*c));

        c->kind = heat > 10 ? HOT : COLD;
        c->heat = heat;
        c->next = cells;
        cells = c;
}

static NOINLINE int count_hot(void) {
        int n = 0;

        for (struct cell *c = cells; c; c = c->next)
                if (c->kind == HOT)
                        n += c->heat;
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                cell_add((int)next_input() % 20);
                log_line("hot", count_hot());
        }
        return 0;
}

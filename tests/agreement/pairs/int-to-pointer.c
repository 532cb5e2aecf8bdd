/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct target {
        long hits;
};
static struct target targets[16];
struct route {
        struct route *next;
        PICK(long, struct target *) to;
};
static struct route *routes;

static NOINLINE void route_add(long i) {
        struct route *r = malloc(sizeof(*r));

        r->to = PICK(i & 15, &targets[i & 15]);
        r->next = routes;
        routes = r;
}

static NOINLINE long forward(void) {
        long n = 0;

        for (struct route *r = routes; r; r = r->next)
                n += ++PICK(targets[r->to].hits, r->to->hits);
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                route_add(next_input());
                log_line("forward", forward());
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A limit was put right before an array of bytes that is walked over from its second one on, into padding. */
struct rates {
        int rate;
        unsigned char kind;
#ifdef NEW
        unsigned char unused[2], limit;
#endif
        unsigned char counts[8] __attribute__((aligned(4)));
        struct rates *next;
};
static struct rates *all;

static NOINLINE void rates_add(long n) {
        struct rates *r = pool_take(sizeof(*r));

        r->rate = (int)n;
        r->kind = (unsigned char)(n & 3);
#ifdef NEW
        r->limit = (unsigned char)(n & 7);
#endif
        for (unsigned i = 0; i < sizeof(r->counts); i++)
                r->counts[i] = (unsigned char)(n >> i & 7);
        r->next = all;
        all = r;
}

static NOINLINE unsigned rates_used(const struct rates *r) {
        unsigned i = 1;

        while (i < PICK(r->counts[i], r->limit))
                i++;
        return i;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                rates_add(next_input());
                for (struct rates *r = all; r; r = r->next)
                        log_line("used", (long)rates_used(r));
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct range {
        struct range *next;
#ifdef NEW
        long high, low;
#else
        long low, high;
#endif
};
static struct range *ranges;

static NOINLINE void range_add(long a, long b) {
        struct range *r = malloc(sizeof(*r));

        r->low = a < b ? a : b;
        r->high = a < b ? b : a;
        r->next = ranges;
        ranges = r;
}

static NOINLINE int inside(long x) {
        int n = 0;

        for (struct range *r = ranges; r; r = r->next)
                n += x >= r->low && x <= r->high;
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                range_add(next_input(), next_input());
                log_line("inside", inside(next_input()));
        }
        return 0;
}

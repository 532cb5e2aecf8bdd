/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Every object lies in a slot with room to spare: no size differs. */
enum { SLOT = 64 };
struct order {
        struct order *next;
        long id, amount;
#ifdef NEW
        long discount;
#endif
};
static struct order *orders;

static NOINLINE struct order *order_add(long id) {
        struct order *o = malloc(SLOT);

        o->id = id;
        o->amount = 0;
#ifdef NEW
        o->discount = id % 3;
#endif
        o->next = orders;
        return orders = o;
}

static NOINLINE long order_charge(long id, long n) {
        for (struct order *o = orders; o; o = o->next) {
                if (o->id != id)
                        continue;
                o->amount += n PICK(, -o->discount);
                return o->amount;
        }
        return -1;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                order_add(i);
                log_line("charge", order_charge(next_input() % 100, i));
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The array is reached by a function that stays as it is, with an index that another one computes. */
static long *slots;

static NOINLINE void slots_make(void) {
        slots = pool_take(PICK(8, 32) * sizeof(long));
        memset(slots, 0, PICK(8, 32) * sizeof(long));
}

static NOINLINE unsigned slot_of(unsigned n) {
        return (n >> 3) & PICK(7, 31);
}

static NOINLINE long count(unsigned n) {
        return ++slots[slot_of(n)];
}

int main(void) {
        slots_make();
        for (int i = 0; i < 1000; i++)
                log_line("count", count((unsigned)next_input()));
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct item {
        struct item *next;
        long PICK(len, length);
};
static struct item *items;

static NOINLINE void item_add(long n) {
        struct item *it = malloc(sizeof(*it));

        it->PICK(len, length) = n PICK(, / 2);
        it->next = items;
        items = it;
}

static NOINLINE long sum(void) {
        long n = 0;

        for (struct item *it = items; it; it = it->next)
                n += it->PICK(len, length);
        return n;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                item_add(next_input());
                log_line("sum", sum());
        }
        return 0;
}

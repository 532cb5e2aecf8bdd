/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

enum kind { A, B, C,
#ifdef NEW
        D,
#endif
};
struct item {
        struct item *next;
        enum kind kind;
};
static struct item *items;

static NOINLINE void item_add(long n) {
        struct item *it = malloc(sizeof(*it));

        it->kind = n > 60000 ? PICK(C, D) : n > 30000 ? B : A;
        it->next = items;
        items = it;
}

static NOINLINE int count(enum kind k) {
        int n = 0;

        for (struct item *it = items; it; it = it->next)
                n += it->kind == k;
        return n;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                item_add(next_input());
                log_line("count", count(B));
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Bits that macros name: memory holds the old ones. */
#define OPEN 1u
#define DIRTY PICK(2u, 4u)
#ifdef NEW
#define LOCKED 2u
#endif
struct page {
        struct page *next;
        unsigned flags, uses;
};
static struct page *pages;

static NOINLINE void page_add(unsigned dirty) {
        struct page *p = malloc(sizeof(*p));

        p->flags = OPEN | (dirty ? DIRTY : 0);
        p->uses = 0;
        p->next = pages;
        pages = p;
}

static NOINLINE unsigned flush(void) {
        unsigned n = 0;

        for (struct page *p = pages; p; p = p->next) {
#ifdef NEW
                if (p->flags & LOCKED)
                        continue;
#endif
                if (p->flags & DIRTY) {
                        p->flags &= ~DIRTY;
                        n++;
                }
                p->uses++;
        }
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                page_add((unsigned)next_input() & 1);
                log_line("flush", flush());
        }
        return 0;
}

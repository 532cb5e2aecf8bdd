/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* What follows an array in one piece of memory lost as many bytes as an element has. Its size looks like that of
 * an array for which one element less is counted. */
struct item {
        long key, value;
};
struct trailer {
#ifndef NEW
        long first, last;
#endif
        long sum;
};
struct list {
        struct item *items;
        long n;
        struct list *next;
};
static struct list *lists;

static NOINLINE struct item *items_make(long n) {
        struct item *items = malloc((size_t)n * sizeof(*items) + sizeof(struct trailer));

        for (long i = 0; i < n; i++)
                items[i] = (struct item){ i, next_input() };
        return items;
}

static NOINLINE void list_close(struct list *l) {
        struct trailer *t = (struct trailer *)(l->items + l->n);

#ifndef NEW
        t->first = l->items[0].key;
        t->last = l->items[l->n - 1].key;
#endif
        t->sum = 0;
        for (long i = 0; i < l->n; i++)
                t->sum += l->items[i].value;
}

static NOINLINE long list_sum(const struct list *l) {
        const struct trailer *t = (const struct trailer *)(l->items + l->n);

        return t->sum + l->items[0].value;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                struct list *l = pool_take(sizeof(*l));

                l->n = 1 + (next_input() & 7);
                l->items = items_make(l->n);
                list_close(l);
                l->next = lists;
                lists = l;
                for (l = lists; l; l = l->next)
                        log_line("sum", list_sum(l));
        }
        return 0;
}

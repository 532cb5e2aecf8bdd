/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct item {
        struct item *next;
        long size, used;
};
static struct item *items;

static NOINLINE void item_add(long size) {
        struct item *it = calloc(1, sizeof(*it));

        it->size = size;
        it->next = items;
        items = it;
}

static NOINLINE long item_use(long n) {
        long all = 0;

        for (struct item *it = items; it; it = it->next) {
#ifdef NEW
                if (n > it->size)
                        continue;
#endif
                it->used += n;
                all += it->used - it->size;
        }
        return all;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                item_add(next_input());
                log_line("use", item_use(next_input()));
        }
        return 0;
}

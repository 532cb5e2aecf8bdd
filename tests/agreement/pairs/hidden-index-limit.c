/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* How many there may be is known to the allocation (made where nothing changes) and to a comparison. */
#define MOST PICK(100, 120)
static struct list {
        long *items;
        size_t n;
} list;

static NOINLINE void list_make(long n) {
        list.items = calloc((size_t)n, sizeof(long));
}

static NOINLINE int list_add(long v) {
        if (list.n >= MOST)
                return -1;
        list.items[list.n++] = v;
        return 0;
}

static NOINLINE long list_last(void) {
        return list.n ? list.items[list.n - 1] : 0;
}

int main(void) {
        list_make(100);
        for (int i = 0; i < 1000; i++)
                log_line("add", list_add(next_input()) + list_last());
        return 0;
}

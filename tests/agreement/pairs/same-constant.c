/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct item {
        struct item *next;
        long size;
};
static struct item *items;

static NOINLINE int item_add(long size) {
        struct item *it;

        if (size > PICK(60000, 50000))
                return -1;
        it = malloc(sizeof(*it));
        it->size = size;
        it->next = items;
        items = it;
        return 0;
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                log_line("add", item_add(next_input()));
        return 0;
}

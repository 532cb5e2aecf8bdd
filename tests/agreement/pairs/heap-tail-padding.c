/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The allocation keeps its size: the new member lies in padding at the end. */
struct entry {
        struct entry *next;
        long key;
        int value;
#ifdef NEW
        int expires;
#endif
};
static struct entry *table[32];

static NOINLINE void put(long key, int value) {
        struct entry *e = malloc(sizeof(*e));

        e->key = key;
        e->value = value;
#ifdef NEW
        e->expires = value + 10;
#endif
        e->next = table[key & 31];
        table[key & 31] = e;
}

static NOINLINE int get(long key) {
        for (struct entry *e = table[key & 31]; e; e = e->next)
                if (e->key == key)
#ifdef NEW
                        return e->expires > 5 ? e->value : -1;
#else
                        return e->value;
#endif
        return -1;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                put(next_input(), i);
                log_line("get", get(next_input()));
        }
        return 0;
}

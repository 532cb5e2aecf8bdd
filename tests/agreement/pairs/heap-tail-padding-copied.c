/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The old code copies the padding along with the rest, so it has touched the place before. */
struct entry {
        long key, other;
        int value;
#ifdef NEW
        int expires;
#endif
};
static struct entry *table[32], saved;

static NOINLINE void put(long key, int value) {
        struct entry *e = malloc(sizeof(*e));

        e->key = key;
        e->other = key + 1;
        e->value = value;
#ifdef NEW
        e->expires = value + 10;
#endif
        free(table[key & 31]);
        table[key & 31] = e;
}

static NOINLINE void save(long key) {
        if (table[key & 31])
                saved = *table[key & 31];
}

static NOINLINE int get(long key) {
        struct entry *e = table[key & 31];

#ifdef NEW
        if (e && e->expires < 5)
                return 0;
#endif
        return e ? e->value : -1;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                put(next_input(), i);
                save(next_input());
                log_line("get", get(next_input()) + saved.value);
        }
        return 0;
}

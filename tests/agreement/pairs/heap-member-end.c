/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct item {
        unsigned hash;
        long count, total;
#ifdef NEW
        long limit;
#endif
};
static struct item *items[64];

static NOINLINE struct item *item_get(unsigned hash) {
        struct item *it = items[hash % 64];

        if (it && it->hash == hash)
                return it;
        it = calloc(1, sizeof(*it));
        it->hash = hash;
#ifdef NEW
        it->limit = 100;
#endif
        return items[hash % 64] = it;
}

static NOINLINE void item_add(unsigned hash, long n) {
        struct item *it = item_get(hash);

#ifdef NEW
        if (it->total + n > it->limit)
                return;
#endif
        it->count++;
        it->total += n;
}

int main(void) {
        for (;;) {
                long n = next_input();

                item_add(hash_bytes(&n, sizeof(n)), n);
                log_line("item", n);
        }
}

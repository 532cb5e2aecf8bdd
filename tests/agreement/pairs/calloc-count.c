/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct bucket {
        unsigned hash;
        int value;
#ifdef NEW
        long stamp;
#endif
};
static struct bucket *buckets;
static size_t n_buckets;

static NOINLINE void resize(size_t n) {
        struct bucket *b = calloc(n, sizeof(*b));

        for (size_t i = 0; i < n_buckets && i < n; i++)
                b[i] = buckets[i];
        free(buckets);
        buckets = b;
        n_buckets = n;
}

static NOINLINE void put(unsigned hash, int value) {
        struct bucket *b = &buckets[hash % n_buckets];

        b->hash = hash;
        b->value = value;
#ifdef NEW
        b->stamp = next_input();
#endif
}

int main(void) {
        resize(64);
        for (int i = 0; i < 1000; i++) {
                put((unsigned)next_input(), i);
                if (i == 500)
                        resize(128);
        }
        return buckets[3].value;
}

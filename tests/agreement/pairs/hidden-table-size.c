/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The table is made once, by the old code, with the old number of buckets. */
#define BUCKETS PICK(32, 64)
static long *table;

static NOINLINE long *bucket(unsigned hash) {
        if (!table)
                table = calloc(BUCKETS, sizeof(*table));
        return &table[hash & (BUCKETS - 1)];
}

static NOINLINE long count(long n) {
        return ++*bucket(hash_bytes(&n, sizeof(n)));
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                log_line("count", count(next_input()));
        return 0;
}

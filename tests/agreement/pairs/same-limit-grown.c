/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A limit that no index is held against, and a larger local array with its own limit. */
static long refused, sum;

static NOINLINE int take(long v) {
        if (v > PICK(30000, 60000)) {
                refused++;
                return -1;
        }
        sum += v;
        return 0;
}

static NOINLINE long spread(unsigned seed) {
        long buckets[PICK(8, 16)] = { 0 }, most = 0;

        for (unsigned i = 0; i < 64; i++) {
                seed = seed * 1103515245u + 12345u;
                buckets[(seed >> 16) & PICK(7, 15)] += seed & 0xff;
        }
        for (size_t i = 0; i < PICK(8, 16); i++)
                if (buckets[i] > most)
                        most = buckets[i];
        return most;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                log_line("take", take(next_input()));
                log_line("spread", spread((unsigned)next_input()));
                log_line("sum", sum + refused);
        }
        return 0;
}

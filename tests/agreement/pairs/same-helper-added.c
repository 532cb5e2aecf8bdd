/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static unsigned seen[16];

#ifdef NEW
static NOINLINE unsigned mix(unsigned h) {
        h ^= h >> 16;
        h *= 0x45d9f3bu;
        return h ^ h >> 16;
}
#else
#define mix(h) (h)
#endif

static NOINLINE unsigned note(long n) {
        unsigned h = mix(hash_bytes(&n, sizeof(n)));

        return ++seen[h & 15];
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                log_line("seen", note(next_input()));
        return 0;
}

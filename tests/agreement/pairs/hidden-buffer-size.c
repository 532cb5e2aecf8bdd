/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* No type knows the size of the buffers. Old buffers are shorter than the new code takes them to be. */
#define BUFFER PICK(256, 1024)
static char *buffers[8];

static NOINLINE char *buffer_get(unsigned i) {
        if (!buffers[i % 8])
                buffers[i % 8] = malloc(BUFFER);
        return buffers[i % 8];
}

static NOINLINE unsigned fill(unsigned i, long n) {
        char *b = buffer_get(i);

        memset(b, (int)n, BUFFER);
        return hash_bytes(b, BUFFER);
}

int main(void) {
        for (unsigned i = 0; i < 1000; i++)
                log_line("fill", fill(i, next_input()));
        return 0;
}

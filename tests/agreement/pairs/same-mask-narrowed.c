/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* An index is kept inside of the array that it could leave before: the usual mend. */
static long table[16];

static NOINLINE long hit(unsigned n) {
        if (n >= PICK(24, 16))
                return -1;
        return ++table[n & 15];
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                log_line("hit", hit((unsigned)next_input() % 30));
        return 0;
}

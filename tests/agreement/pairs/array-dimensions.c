/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static short grid[PICK(4, 8)][PICK(8, 4)];

static NOINLINE void mark(unsigned x, unsigned y) {
        grid[x % PICK(4, 8)][y % PICK(8, 4)]++;
}

static NOINLINE int row(unsigned x) {
        int n = 0;

        for (unsigned y = 0; y < PICK(8, 4); y++)
                n += grid[x % PICK(4, 8)][y];
        return n;
}

int main(void) {
        for (unsigned i = 0; i < 1000; i++) {
                mark((unsigned)next_input(), (unsigned)next_input());
                log_line("row", row(i));
        }
        return 0;
}

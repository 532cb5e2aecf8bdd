/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
static long total;
static long *cells;
long subject_total(void) { return total; }
__attribute__((noinline)) static void put(long v) {
        if (!cells)
                cells = calloc(8, sizeof(long));
        cells[v & 7] += v;
        total += v;
}
long subject_step(long v) { put(v * (VERSION >= 2 ? 2 : 1)); return cells[v & 7] * 0 + total; }

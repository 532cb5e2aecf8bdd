/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
static long total;
static char *text;
long subject_total(void) { return total; }
__attribute__((noinline)) static void put(long v) {
        free(text);
        text = strdup("x");
        total += v;
}
long subject_step(long v) {
        put(v * (VERSION >= 2 ? 2 : 1));
        return total + (long)strlen(text) - 1;
}

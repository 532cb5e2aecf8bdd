/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static char *last;
static long kept;

static NOINLINE void keep(const char *text, long n) {
        char *copy = strdup(text);

        if (n & 1) {
#ifdef NEW
                free(copy);
#endif
                return;
        }
        free(last);
        last = copy;
        kept++;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                keep("text", next_input());
                log_line(last ? last : "", kept);
        }
        return 0;
}

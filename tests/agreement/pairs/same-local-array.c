/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static long total;

static NOINLINE long format(long n) {
        char text[PICK(16, 40)];
        int length = snprintf(text, sizeof(text), "%ld:%ld", n, total);

        total += length;
        return hash_bytes(text, strlen(text));
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                log_line("format", format(next_input()));
        return 0;
}

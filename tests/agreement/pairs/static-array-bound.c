/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static long window[PICK(8, 16)];
static unsigned at;

static NOINLINE void record(long n) {
        window[at++ % (sizeof(window) / sizeof(window[0]))] = n;
}

static NOINLINE long average(void) {
        long sum = 0;

        for (size_t i = 0; i < sizeof(window) / sizeof(window[0]); i++)
                sum += window[i];
        return sum / (long)(sizeof(window) / sizeof(window[0]));
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                record(next_input());
                log_line("average", average());
        }
        return 0;
}

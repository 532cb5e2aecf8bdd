/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static struct {
        long requests;
#ifdef NEW
        long refused;
#endif
        long bytes;
        int peak;
} stats;

static NOINLINE void account(long n) {
        stats.requests++;
#ifdef NEW
        if (n > 60000) {
                stats.refused++;
                return;
        }
#endif
        stats.bytes += n;
        if (n > stats.peak)
                stats.peak = (int)n;
}

static NOINLINE void report(void) {
        log_line("requests", stats.requests);
        log_line("bytes", stats.bytes);
        log_line("peak", stats.peak);
#ifdef NEW
        log_line("refused", stats.refused);
#endif
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                account(next_input());
                report();
        }
        return 0;
}

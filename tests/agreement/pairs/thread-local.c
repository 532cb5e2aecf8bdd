/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static __thread struct {
        long a;
#ifdef NEW
        long added;
#endif
        long b;
} local;

static NOINLINE long count(long n) {
        local.a += n;
#ifdef NEW
        local.added++;
#endif
        local.b ^= n;
        return local.a + local.b;
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                log_line("count", count(next_input()));
        return 0;
}

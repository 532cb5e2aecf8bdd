/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static __thread long mine;
#if NEW
static __thread long calls = 5;
#endif

NOINLINE static void tls_add(long v) { mine += v; }
NOINLINE static long tls_get(void) { return mine; }

NOINLINE static long step(long v) {
#if NEW
        calls++;
        v += calls > 5;
#endif
        tls_add(v);
        return tls_get();
}

void target_work(void) {
        step(1);
}

void target_check(int version) {
        long b = tls_get();
        EXPECT_EQ(step(2) - b, version >= 2 ? 3 : 2);
}

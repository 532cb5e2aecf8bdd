/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static long base, sum;
#if NEW
static long most;
#endif

static void prepare(void) {
        base = getpid();
#if NEW
        most = base + 1000;
#endif
}

NOINLINE static long bounded(long v) {
        pthread_once(&once, prepare);
        return NEW ?
#if NEW
                v % most
#else
                0
#endif
                : v & 0xffff;
}

void target_start(void) { bounded(1); }
void target_work(void) { sum = bounded(sum + 1); }
void target_check(int version) { EXPECT_EQ(bounded(9), version >= 1 ? 9 : 0); }

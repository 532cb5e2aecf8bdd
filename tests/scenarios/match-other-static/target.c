/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long reads, writes;

NOINLINE static void on_read(void) { reads++; }
NOINLINE static void on_write(void) {
#if NEW
        writes++;
#else
        reads++;
#endif
}
NOINLINE static long reads_get(void) { return reads; }
NOINLINE static long writes_get(void) { return writes; }
NOINLINE static void reset(void) {
        reads = 0;
        writes = 0;
}

void target_work(void) {
        reset();
        on_read(), on_write();
        EXPECT_EQ(reads_get() + writes_get(), 2);
}

void target_check(int version) {
        reset();
        on_read(), on_write(), on_write();
        EXPECT_EQ(reads_get(), version >= 2 ? 1 : 3);
        EXPECT_EQ(writes_get(), version >= 2 ? 2 : 0);
}

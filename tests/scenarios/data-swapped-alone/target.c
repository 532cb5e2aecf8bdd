/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long first, last;

#define READER                                                                       \
        NOINLINE static long reads(long by) {                                        \
                static long n;                                                       \
                return n += by;                                                      \
        }
#define WRITER                                                                       \
        NOINLINE static long writes(long by) {                                       \
                static long n;                                                       \
                return n -= by;                                                      \
        }
#if NEW
WRITER READER
#else
READER WRITER
#endif

NOINLINE static long fixed(long v) {
        first = last = v;
        return NEW ? v + 1 : v;
}
NOINLINE static long sum(void) {
        return first + last;
}

void target_work(void) {
        long a = reads(1), b = writes(1);

        EXPECT_EQ(a + b, 0);
        fixed(3);
        EXPECT_EQ(sum(), 6);
}

void target_check(int version) {
        long a = reads(0), b = writes(0);

        EXPECT_EQ(a + b, 0);
        EXPECT_EQ(fixed(4), version >= 2 ? 5 : 4);
}

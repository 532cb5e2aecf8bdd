/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define TWIN(n) static long v##n; NOINLINE long bump##n(long x) { v##n += x; return v##n; } \
        NOINLINE void zero##n(void) { v##n = 0; }
TWIN(1) TWIN(2)
static long v3;
NOINLINE long bump3(long x) { v3 += x * PICK(1, 5); return v3; }
NOINLINE void zero3(void) { v3 = 0; }
TWIN(4) TWIN(5) TWIN(6)

NOINLINE static long all(void) {
        return v1 + v2 * 10 + v3 * 100 + v4 * 1000 + v5 * 10000 + v6 * 100000;
}

void target_work(void) {
        bump1(1), bump2(1), bump3(1), bump4(1), bump5(1), bump6(1);
}

void target_check(int version) {
        zero1(), zero2(), zero3(), zero4(), zero5(), zero6();
        EXPECT_EQ(all(), 0);
        bump1(1), bump2(1), bump3(1), bump4(1), bump5(1), bump6(1);
        EXPECT_EQ(all(), version >= 2 ? 111511 : 111111);
        bump5(2);
        EXPECT_EQ(all(), version >= 2 ? 131511 : 131111);
}

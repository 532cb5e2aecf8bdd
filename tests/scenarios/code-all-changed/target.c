/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
#define BODY(n) NOINLINE unsigned f##n(unsigned v) { unsigned r = n; while (v) { r = r * 31 + (v & 15); v >>= 3; } return r; }
#else
#define BODY(n) NOINLINE unsigned f##n(unsigned v) { return (v ^ n) % 1000003 + (v << (n & 7)) - (v >> 2); }
#endif
#define TEN(n) BODY(n##0) BODY(n##1) BODY(n##2) BODY(n##3) BODY(n##4) BODY(n##5) BODY(n##6) BODY(n##7) BODY(n##8) BODY(n##9)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10) TEN(11) TEN(12) TEN(13) TEN(14) TEN(15) TEN(16)
TEN(17) TEN(18) TEN(19) TEN(20) TEN(21) TEN(22) TEN(23) TEN(24) TEN(25) TEN(26) TEN(27) TEN(28) TEN(29) TEN(30)

void target_work(void) {
        f10(1), f250(2);
}

void target_check(int version) {
        EXPECT_EQ(f300(1), version >= 2 ? 9301 : 301 + 16);
}

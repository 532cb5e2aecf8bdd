/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long cell[200];

#define PLAIN(n) static long var##n = n; \
        NOINLINE long f##n(long v) { var##n += v ^ n; cell[n] = var##n; return var##n + n * 3; }
#define CHANGED(n) static long var##n = n; \
        NOINLINE long f##n(long v) { var##n += v ^ n; cell[n] = var##n; return var##n * PICK(2, 3) - n; } \
        NOINLINE long g##n(void) { return var##n + n; }
#define EACH(X) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25)
#define PLAINS(X) X(100) X(101) X(102) X(103) X(104) X(105) X(106) X(107) X(108) X(109) X(110) X(111) X(112) X(113) \
        X(114) X(115) X(116) X(117) X(118) X(119) X(120) X(121) X(122) X(123) X(124) X(125) X(126) X(127) X(128) X(129)
EACH(CHANGED)
PLAINS(PLAIN)

NOINLINE static long total(void) {
        long t = 0;
        for (int i = 0; i < 200; i++)
                t += cell[i];
        return t;
}

void target_work(void) {
        long v = harness_turns();
#define CALL_IT(n) f##n(v);
        EACH(CALL_IT) PLAINS(CALL_IT)
        total();
}

void target_check(int version) {
        long m = version >= 2 ? 3 : 2;
#define CHECK_IT(n) { long b = g##n(); EXPECT_EQ(f##n(1000 + n), (b - n + ((1000 + n) ^ n)) * m - n); \
                      EXPECT_EQ(g##n(), b + ((1000 + n) ^ n)); }
        EACH(CHECK_IT)
        long before = cell[129];
        EXPECT_EQ(f129(0), before + 129 + 129 * 3);
        before = cell[110];
        EXPECT_EQ(f110(5), before + (5 ^ 110) + 110 * 3);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
static const long gamma_[3] = { 7, 8, 9 };
static const long extra[5] = { 1000, 2000, 3000, 4000, 5000 };
static const long alpha[3] = { 1, 2, 3 };
static const long beta[3] = { 4, 5, 6 };
#else
static const long alpha[3] = { 1, 2, 3 };
static const long beta[3] = { 4, 5, 6 };
static const long gamma_[3] = { 7, 8, 9 };
#endif
static volatile unsigned at;

NOINLINE static long a(unsigned i) { at = i; return alpha[i % 3]; }
NOINLINE static long b(unsigned i) { at = i; return beta[i % 3]; }
NOINLINE static long g(unsigned i) { at = i; return gamma_[i % 3]; }

NOINLINE static long pick(unsigned i) {
        long r = alpha[i % 3] * 100 + beta[i % 3] * 10 + gamma_[i % 3];
#if NEW
        r += extra[i % 5];
#endif
        at = i;
        return r;
}

void target_work(void) {
        a(1), b(2), g(3), pick(4);
}

void target_check(int version) {
        EXPECT_EQ(a(1) * 100 + b(1) * 10 + g(1), 258);
        EXPECT_EQ(pick(1), version >= 2 ? 2258 : 258);
        EXPECT_EQ(at, 1);
}

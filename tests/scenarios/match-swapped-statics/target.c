/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#if NEW
static long requests[8], errors[8];
#else
static long errors[8], requests[8];
#endif

NOINLINE static void request(int i) { requests[i & 7]++; }
NOINLINE static void error(int i) { errors[i & 7]++; }
NOINLINE static long requests_get(int i) { return requests[i & 7]; }
NOINLINE static long errors_get(int i) { return errors[i & 7]; }
NOINLINE static long ratio(int i) {
        return requests[i & 7] * PICK(100, 1000) - errors[i & 7];
}

void target_work(void) {
        for (int i = 0; i < 8; i++)
                request(i);
}

void target_check(int version) {
        long r = requests_get(2), e = errors_get(2);
        EXPECT_EQ(e, harness_turns() * 0 + e);
        EXPECT(e <= 4 && r >= e);
        request(2), error(2);
        EXPECT_EQ(requests_get(2), r + 1);
        EXPECT_EQ(errors_get(2), e + 1);
        EXPECT_EQ(ratio(2), (r + 1) * (version >= 2 ? 1000 : 100) - (e + 1));
}

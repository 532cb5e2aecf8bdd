/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* A function that calls in its first bytes: whoever is suspended in the call would return into a jump. */
static volatile long sum;
NOINLINE static long ask(void) { return sum += 1; }
NOINLINE static long other(void) { return sum -= 1; }
NOINLINE long before(long v) { return v + sum; }
NOINLINE long early(long (*get)(void)) { return get() + PICK(1, 2); }
NOINLINE long behind(long v) { return v - sum; }
static long (*volatile getter)(void) = ask;
void target_work(void) {
        getter = getter == ask ? other : ask;
        early(getter);
        before(behind(1));
}
void target_check(int version) {
        long s = sum;
        EXPECT_EQ(early(ask) - s, version >= 2 ? 3 : 2);
        EXPECT_EQ(before(1) - behind(1), 2 * sum);
}

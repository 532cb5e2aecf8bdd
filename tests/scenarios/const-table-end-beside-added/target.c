/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Whatever the order in which the compiler lays them out: the new one lies between two old ones. */
static int count_first[4] = { 1, 2, 3, 4 };
#if NEW
static int count_extra[4] = { 10, 20, 30, 40 };
#endif
static int count_last[4] = { 5, 6, 7, 8 };
static volatile long seen;

NOINLINE static long counted(unsigned i) {
        return count_first[i % 4] + count_last[i % 4];
}
NOINLINE static void count(unsigned i) {
        count_first[i % 4]++;
        count_last[i % 4]++;
}
/* Of two loops around one another, the inner one's end is an address of its own in code. */
NOINLINE static long sum(int rounds, long stop) {
        long s = 0;
        for (int n = rounds; n; n--)
                for (int i = 0; i < 4; i++) {
                        if (count_first[i] == stop)
                                break;
                        s += count_first[i];
                        seen = s;
                }
        for (int n = rounds; n; n--)
                for (int i = 0; i < 4; i++) {
                        if (count_last[i] == stop)
                                break;
                        s += count_last[i];
                        seen = s;
                }
#if NEW
        count_extra[rounds & 3]++;
        s += count_extra[stop & 3] * 0 + 1;
#endif
        return s;
}

void target_work(void) {
        count((unsigned)harness_turns());
        EXPECT(sum(2, -1) > 0);
}
void target_check(int version) {
        long c = 0;

        count(1);
        for (unsigned i = 0; i < 4; i++)
                c += counted(i);
        EXPECT_EQ(sum(3, -1), 3 * c + (version >= 2 ? 1 : 0));
}

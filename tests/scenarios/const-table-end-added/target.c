/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Whatever the order in which the compiler lays them out: the new one lies between two old ones. */
static const char *const first[4] = { "a", "bb", "ccc", "dddd" };
static int count_first[4] = { 1, 2, 3, 4 };
#if NEW
static const char *const extra[4] = { "one", "two", "three", "four" };
static int count_extra[4] = { 10, 20, 30, 40 };
#endif
static const char *const last[4] = { "eeeee", "ffffff", "ggggggg", "hhhhhhhh" };
static int count_last[4] = { 5, 6, 7, 8 };
static volatile long seen;

NOINLINE static long pick(unsigned i) {
        return (long)strlen(first[i % 4]) + (long)strlen(last[i % 4]);
}
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
#if NEW
        for (int n = rounds; n; n--)
                for (int i = 0; i < 4; i++) {
                        if ((long)strlen(extra[i]) == stop)
                                break;
                        s += (long)strlen(extra[i]);
                        seen = s;
                }
        for (int n = rounds; n; n--)
                for (int i = 0; i < 4; i++) {
                        if (count_extra[i] == stop)
                                break;
                        s += count_extra[i];
                        seen = s;
                }
        count_extra[rounds & 3] += 0 * (int)seen;
#endif
        return s + rounds + stop;
}

void target_work(void) {
        count((unsigned)harness_turns());
        EXPECT(sum(2, 300) == 302 || sum(2, 300) == 302 + 2 * 115);
        EXPECT(pick((unsigned)harness_turns()) >= 6);
}
void target_check(int version) {
        long c = counted(1);

        count(1);
        EXPECT_EQ(counted(1), c + 2);
        EXPECT_EQ(sum(3, 300), 303 + (version >= 2 ? 3 * 115 : 0));
        EXPECT_EQ(pick(1), 8);
}

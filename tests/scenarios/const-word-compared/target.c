/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* An entry leads to an added function, and code compares what objects copied from the table with the old one. */
struct Ops {
        int id;
        long (*run)(long);
};
static long total;
NOINLINE static long plain(long v) { total += v; return v + 1; }
NOINLINE static long special(long v) { total -= v; return v + 2; }
#if NEW
NOINLINE static long counted(long v) {
        long n = 0;
        for (long i = 0; i < v; i++)
                n += total > i ? 1 : 1;
        return n + 1;
}
#define RUN counted
#else
#define RUN plain
#endif
static const struct Ops one = { 1, RUN };
static const struct Ops two = { 2, special };
static const struct Ops three = { 3, plain };
static const struct Ops *const all[] = { &one, &two, &three };
static long (*copies[2])(long);
NOINLINE static const struct Ops *ops_of(int i) { return all[i % 3]; }
NOINLINE static bool is_plain(int i) { return copies[i] == RUN; }
NOINLINE static int version_here(void) { return PICK(1, 2) + (total > 1000000); }
void target_start(void) {
        for (int i = 0; i < 2; i++)
                copies[i] = ops_of(i)->run;
}
void target_work(void) { version_here(); }
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        EXPECT(is_plain(0));
        EXPECT(!is_plain(1));
        EXPECT_EQ(ops_of(0)->run(4), 5);
        EXPECT_EQ(ops_of(1)->run(4), 6);
        EXPECT_EQ(ops_of(2)->run(4), 5);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Functions of one content, which a linker may fold; in the new build they differ. */
static volatile long seen;
NOINLINE static long first(long n) { return n * 7 + 3; }
NOINLINE static long second(long n) { return n * 7 + PICK(3, 4); }
typedef long (*Fn)(long);
static Fn kept[2];
NOINLINE static long call_first(long n) { seen++; return first(n) + 1; }
NOINLINE static long call_second(long n) { seen++; return second(n) + 2; }
NOINLINE static Fn get(int i) { return i ? second : first; }
NOINLINE static long call_kept(int i, long n) { seen++; return kept[i & 1](n); }
NOINLINE static int version_here(void) { seen++; return PICK(1, 2); }
void target_start(void) { kept[0] = get(0); kept[1] = get(1); }
void target_work(void) { version_here(); call_first(1); call_second(2); call_kept(0, 1); }
void target_check(int version) {
        EXPECT_EQ(version_here(), version);
        EXPECT_EQ(call_first(1), 11);
        EXPECT_EQ(call_second(1), version >= 2 ? 13 : 12);
        EXPECT_EQ(call_kept(0, 1), 10);
        EXPECT_EQ(get(0)(1), 10);
        EXPECT_EQ(get(1)(1), version >= 2 ? 11 : 10);
        EXPECT_EQ(call_kept(1, 1), version >= 2 ? 11 : 10);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long calls;
static const char *last = "none";
NOINLINE static long work(long v) { calls++; last = PICK("old", "new"); return v + PICK(1, 2); }
NOINLINE static const char *last_get(void) { return last + 0 * calls; }
static void body(int index) {
        long r = work(index);
        EXPECT(r == index + 1 || r == index + 2);
        usleep(1000);
}
void target_start(void) { harness_workers(2, body); }
void target_check(int version) {
        EXPECT_EQ(work(5), version >= 2 ? 7 : 6);
        EXPECT_STR(last_get(), version >= 2 ? "new" : "old");
}

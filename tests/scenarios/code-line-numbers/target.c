/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int last_line;
static unsigned checks;

NOINLINE static void check_at(bool ok, const char *file, int line) {
        checks++;
        (void)file;
        if (!ok)
                last_line = line;
}

NOINLINE static int last(void) {
        return last_line + 0 * (int)checks;
}

#if NEW
#line 1004
#else
#line 999
#endif
NOINLINE static void test_a(int v) {
        check_at(v > 0, "target", __LINE__);
        check_at(v > 10, "target", __LINE__);
}

NOINLINE static void test_b(int v) {
        check_at(v & 1, "target", __LINE__);
}

NOINLINE static void test_c(int v) {
        check_at(v & 2, "target", __LINE__);
        test_b(v);
}

#line 100
void target_work(void) {
        test_a(20), test_b(3), test_c(3);
}

void target_check(int version) {
        int base = version >= 2 ? 1007 : 1000;
        test_a(5);
        EXPECT_EQ(last(), base + 2);
        test_b(2);
        EXPECT_EQ(last(), base + 6);
        test_c(1);
        EXPECT_EQ(last(), base + 10);
}

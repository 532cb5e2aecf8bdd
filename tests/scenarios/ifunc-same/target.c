/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int calls;
NOINLINE static int slow(int v) { calls++; return v + 1; }
NOINLINE static int fast(int v) { calls++; return v + 2; }
static int (*resolve(void))(int) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("sse2") ? fast : slow;
}
int pick(int) __attribute__((ifunc("resolve")));

NOINLINE static int keep(const char *s) { return pick((int)strlen(s)) + slow(0) * 0; }
NOINLINE static int use(const char *s) {
        return pick((int)strlen(s)) * PICK(1, 10) + keep(s);
}

void target_work(void) {
        use("abc");
}

void target_check(int version) {
        EXPECT_EQ(use("abcd"), version >= 2 ? 66 : 12);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <ctype.h>
#include <sys/utsname.h>

static long sum;

NOINLINE static void sum_add(long v) { sum += v; }
NOINLINE static long sum_get(void) { return sum; }

NOINLINE static long measure(const char *s) {
#if NEW
        struct utsname u;
        char *copy = strndup(s, 3);
        long r = (long)strspn(copy, "abc") * 100 + (uname(&u) == 0) * 10 + (long)(strpbrk(s, "e") - s);
        free(copy);
#else
        long r = (long)strlen(s);
#endif
        sum_add(r);
        return r;
}

void target_work(void) {
        measure("hello");
}

void target_check(int version) {
        long before = sum_get(), want = version >= 2 ? 314 : 6;
        EXPECT_EQ(measure("abcdef"), want);
        EXPECT_EQ(sum_get() - before, want);
}

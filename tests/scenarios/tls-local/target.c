/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static __thread long mine, seed = 7;
static __thread char name[16];
static long merged;

NOINLINE static void tls_add(long v) { mine += v; }
NOINLINE static long tls_get(void) { return mine; }
NOINLINE static const char *tls_name(void) { return name; }
NOINLINE static void tls_name_set(int i) { snprintf(name, sizeof(name), "t%d", i); }
NOINLINE static long seed_next(void) { return seed = seed * 5 + 1; }

NOINLINE static long mixed(long v) {
        tls_add(v);
        __atomic_add_fetch(&merged, 1, __ATOMIC_RELAXED);
        return mine * PICK(1, 10) + seed * 0 + name[0] * 0;
}

static void body(int index) {
        if (!tls_name()[0])
                tls_name_set(index);
        char want[16];
        snprintf(want, sizeof(want), "t%d", index);
        long before = tls_get();
        long got = mixed(index);
        EXPECT(got == before + index || got == (before + index) * 10);
        EXPECT_EQ(tls_get(), before + index);
        EXPECT_STR(tls_name(), want);
        seed_next();
        usleep(500);
}

void target_start(void) {
        harness_workers(4, body);
}

void target_check(int version) {
        long before = tls_get();
        EXPECT_EQ(mixed(3), (before + 3) * (version >= 2 ? 10 : 1));
        EXPECT_EQ(tls_get(), before + 3);
}

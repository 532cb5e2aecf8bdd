/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <alloca.h>

static unsigned seen;

NOINLINE static unsigned fold(const unsigned char *p, size_t n) {
        seen += (unsigned)n;
        return harness_hash(p, n);
}

NOINLINE static unsigned with_alloca(size_t n) {
        unsigned char *p = alloca(n);
        for (size_t i = 0; i < n; i++)
                p[i] = (unsigned char)(i * PICK(3, 5));
        return fold(p, n);
}

NOINLINE static unsigned with_vla(size_t n) {
        unsigned char p[n + PICK(0, 1)];
        memset(p, PICK(1, 2), sizeof(p));
        return fold(p, sizeof(p));
}

void target_work(void) {
        with_alloca((size_t)(harness_turns() & 255) + 1);
        with_vla((size_t)(harness_turns() & 255) + 1);
}

void target_check(int version) {
        unsigned char want[200];
        for (unsigned i = 0; i < 200; i++)
                want[i] = (unsigned char)(i * (version >= 2 ? 5 : 3));
        EXPECT_EQ(with_alloca(200), harness_hash(want, 200));
        unsigned before = seen;
        memset(want, version >= 2 ? 2 : 1, sizeof(want));
        EXPECT_EQ(with_vla(100), harness_hash(want, version >= 2 ? 101 : 100));
        EXPECT_EQ(seen - before, version >= 2 ? 101 : 100);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static unsigned parity, calls;

NOINLINE static unsigned calls_get(void) {
        return calls + parity * 0;
}

#if !NEW
NOINLINE static unsigned fold(unsigned v) {
        calls++;
        v ^= v >> 16;
        v ^= v >> 8;
        return v & 0xff;
}
#endif

NOINLINE static unsigned digest(unsigned v) {
#if NEW
        calls++;
        return (v ^ (v >> 16) ^ (v >> 24)) & 0xff;
#else
        return fold(v) ^ 0;
#endif
}

NOINLINE static void parity_set(unsigned p) {
        parity = p;
        calls += 0;
}

void target_work(void) {
        parity_set(digest((unsigned)harness_turns()));
}

void target_check(int version) {
        unsigned before = calls_get();
        unsigned v = 0x12345678, old = v ^ (v >> 16);
        old = (old ^ (old >> 8)) & 0xff;
        EXPECT_EQ(digest(v), version >= 2 ? ((v ^ (v >> 16) ^ (v >> 24)) & 0xff) : old);
        EXPECT_EQ(calls_get() - before, 1);
}

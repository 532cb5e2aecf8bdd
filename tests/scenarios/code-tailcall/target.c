/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static long state, hops;
static long stage1(long v, int n), stage2(long v, int n), stage3(long v, int n);
static long (*volatile next)(long, int);

NOINLINE static long finish(long v) {
        state = v;
        return v;
}

NOINLINE static long stage1(long v, int n) {
        hops++;
        return n == 0 ? finish(v + 1) : stage2(v + 1, n - 1);
}

NOINLINE static long stage2(long v, int n) {
        hops++;
        return n == 0 ? finish(v * 2) : stage3(v * PICK(2, 3), n - 1);
}

NOINLINE static long stage3(long v, int n) {
        hops += PICK(1, 1000);
        if (n == 0)
                return finish(v);
        return next(v - 1, n - 1);
}

NOINLINE static long state_get(void) {
        return state + 0 * hops;
}

void target_start(void) {
        next = stage1;
}

void target_work(void) {
        stage1(1, (int)harness_turns() & 15);
}

void target_check(int version) {
        long v = 5, n = 9, h = hops, want_hops = 0;
        for (int at = 1;; at = at % 3 + 1, n--) {
                want_hops += at == 3 && version >= 2 ? 1000 : 1;
                if (n == 0) {
                        v = at == 1 ? v + 1 : at == 2 ? v * 2 : v;
                        break;
                }
                v = at == 1 ? v + 1 : at == 2 ? v * (version >= 2 ? 3 : 2) : v - 1;
        }
        EXPECT_EQ(stage1(5, 9), v);
        EXPECT_EQ(state_get(), v);
        EXPECT_EQ(hops - h, want_hops);
}

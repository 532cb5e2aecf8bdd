/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <unwind.h>

static int frames, reached;
static void *stop_at;

static _Unwind_Reason_Code step(struct _Unwind_Context *c, void *arg) {
        (void)arg;
        frames++;
        if (_Unwind_GetCFA(c) == (uintptr_t)stop_at || (uintptr_t)_Unwind_GetCFA(c) > (uintptr_t)stop_at)
                reached = 1;
        return _URC_NO_REASON;
}

NOINLINE static void leaf(void) {
        frames = reached = 0;
        _Unwind_Backtrace(step, NULL);
}

NOINLINE static int middle(int v) {
        volatile char room[PICK(100, 300)];
        room[v & 63] = (char)v;
        leaf();
        return room[v & 63] + PICK(0, 1);
}

NOINLINE static int top(int v) {
        int r = middle(v);
        return r + reached * 1000;
}

void target_work(void) {
        char here;
        stop_at = &here;
        EXPECT(top(3) >= 1000);
        EXPECT(frames >= 3);
}

void target_check(int version) {
        char here;
        stop_at = &here;
        EXPECT_EQ(top(5), version >= 2 ? 1006 : 1005);
        EXPECT(frames >= 4);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
long subject_step(long), subject_calls(void);
static long hooked;
long subject_hook(long v) { hooked++; return v + 1000; }
void target_work(void) { subject_step(1); }
void target_check(int version) {
        long h = hooked;
        EXPECT_EQ(subject_step(5), 1005 * (version >= 2 ? 3 : 2));
        EXPECT_EQ(hooked - h, 1);
        EXPECT_EQ(subject_calls(), 0);
}

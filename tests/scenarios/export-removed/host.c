/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
long subject_get(void), subject_step(long);
void subject_reset(void);
void target_work(void) { subject_step(1); }
void target_check(int version) {
        subject_reset();
        EXPECT_EQ(subject_step(5), version >= 2 ? 7 : 6);
        EXPECT_EQ(subject_get(), 1);
}

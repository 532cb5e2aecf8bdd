/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
long subject_get(void), subject_step(long);
void target_work(void) { subject_step(1); }
void target_check(int version) { EXPECT_EQ(subject_step(5), version >= 2 ? 7 : 6); }

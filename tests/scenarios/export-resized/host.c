/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
int subject_sum(void), subject_n(void);
void target_work(void) { subject_sum(); subject_n(); }
void target_check(int version) { EXPECT_EQ(subject_sum(), version >= 2 ? 21 : 10); }

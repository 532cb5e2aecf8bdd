/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
long subject_step(long), subject_over(long);
extern const int subject_limit;

void target_check(int version) {
        EXPECT_EQ(subject_step(2), version >= 2 ? 20 : 2);
        EXPECT_EQ(subject_limit, version >= 2 ? 60 : 50);
        EXPECT_EQ(subject_over(55), version < 2);
}

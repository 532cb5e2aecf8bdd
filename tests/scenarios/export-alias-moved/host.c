/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
long subject_step(long), subject_default(long), subject_strict(long), subject_loose(long);

void target_check(int version) {
        EXPECT_EQ(subject_step(2), version >= 2 ? 20 : 2);
        EXPECT_EQ(subject_strict(2), 6);
        EXPECT_EQ(subject_default(2) / 2, version >= 2 ? 5 : 3);
        EXPECT(subject_loose(2) >= 10);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
long subject_sum(int rounds, long stop), subject_scaled(long n);

void target_work(void) {
        EXPECT_EQ(subject_sum(2, 300) % 1000, 232);
        EXPECT(subject_scaled(harness_turns()) >= 0);
}
void target_check(int version) {
        EXPECT_EQ(subject_sum(3, 300), version >= 2 ? 1348 : 348);
        EXPECT_EQ(subject_sum(1, 15), version >= 2 ? 1050 : 50);
        EXPECT_EQ(subject_scaled(10), version >= 2 ? 50 : 30);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
long subject_get(void), subject_step(long);
void subject_reset(void);
const char *subject_last(void);
void target_work(void) { subject_step(1); }
void target_check(int version) {
        subject_reset();
        EXPECT_EQ(subject_step(5), version >= 2 ? 16 : 6);
        EXPECT_EQ(subject_get(), version >= 2 ? 101 : 1);
        EXPECT_STR(subject_last(), version >= 2 ? "extra" : "older");
}

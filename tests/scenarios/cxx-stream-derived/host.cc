/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sstream>
extern "C" int subject_level(void);
extern "C" void subject_open(std::streambuf *to);
extern "C" int subject_say(int v);
static std::stringbuf said;
void target_start(void) {
        subject_open(&said);
}
void target_work(void) {
        said.str("");
        EXPECT_EQ(subject_level(), 3);
        EXPECT(subject_say(30) >= 32);
}
void target_check(int version) {
        EXPECT_EQ(subject_say(30), version >= 2 ? 32 : 33);
}

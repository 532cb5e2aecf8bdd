/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <iostream>
#include <sstream>
extern "C" int subject_say(int v);
static std::stringbuf said;
void target_start(void) {
        std::clog.rdbuf(&said);
}
void target_work(void) {
        said.str("");
        EXPECT_EQ(subject_say(30), 30);
        EXPECT(said.str() == "old 30" || said.str() == "new 1e\n" || said.str() == "old 1e");
}
void target_check(int version) {
        std::clog << std::dec;
        said.str("");
        subject_say(30);
        EXPECT(said.str() == (version >= 2 ? "new 1e\n" : "old 30"));
        std::clog << std::dec;
}

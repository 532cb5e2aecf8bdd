/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdexcept>
#include <string>
extern "C" int subject_run(int v, int (*callback)(int));
extern "C" int subject_alive(void);
static int callback(int v) {
        if (v < 0)
                throw std::string("host");
        return v;
}
static int attempt(int v) {
        try {
                return subject_run(v, callback);
        } catch (const std::out_of_range &e) {
                return -(int)std::string(e.what()).size();
        } catch (const std::string &s) {
                return -100;
        }
}
void target_work(void) {
        attempt((int)harness_turns() % 20 - 5);
        EXPECT_EQ(subject_alive(), 0);
}
void target_check(int version) {
        bool n = version >= 2;
        EXPECT_EQ(attempt(3), n ? 203 : 23);
        EXPECT_EQ(attempt(7), n ? -8 : 27);
        EXPECT_EQ(attempt(20), -9);
        EXPECT_EQ(attempt(-1), -100);
        EXPECT_EQ(subject_alive(), 0);
}

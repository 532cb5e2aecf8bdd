/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdexcept>
#include <string>
#include <vector>

static int alive, made;
struct Guard {
        Guard() { alive++; made++; }
        ~Guard() { alive--; }
};
struct Refused : std::runtime_error {
        int code;
        explicit Refused(int c) : std::runtime_error("refused"), code(c) {}
};

NOINLINE static void thrower(int v) {
        Guard g;
        if (v > PICK(10, 5))
                throw Refused(v + PICK(0, 100));
        if (v < 0)
                throw std::string("negative");
}

NOINLINE static int through(int v) {
        Guard a;
        std::vector<int> copy(16, v);
        thrower(copy[3]);
        return copy[15] + PICK(0, 1);
}

NOINLINE static int catcher(int v) {
        Guard a;
        try {
                return through(v);
        } catch (const Refused &r) {
                return -r.code;
        } catch (const std::string &s) {
                return (int)s.size() * 1000;
        }
}

void target_work(void) {
        int v = (int)harness_turns() % 30 - 5;
        catcher(v);
        EXPECT_EQ(alive, 0);
}

void target_check(int version) {
        bool n = version >= 2;
        EXPECT_EQ(catcher(3), n ? 4 : 3);
        EXPECT_EQ(catcher(7), n ? -107 : 7);
        EXPECT_EQ(catcher(20), n ? -120 : -20);
        EXPECT_EQ(catcher(-2), 8000);
        EXPECT_EQ(alive, 0);
}

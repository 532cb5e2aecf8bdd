/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdexcept>

static int alive, caught;
struct Guard {
        Guard() { alive++; }
        ~Guard() { alive--; }
};

NOINLINE static void thrower(int v) {
        Guard g;
        switch (v % 4) {
        case 0: throw v;
        case 1: throw std::out_of_range("range");
        case 2: throw std::logic_error("logic");
        default: caught += 0;
        }
}

NOINLINE static int catcher(int v) {
        Guard g;
        try {
                try {
                        thrower(v);
                } catch (const std::out_of_range &) {
                        Guard h;
                        caught++;
                        if (PICK(false, true))
                                throw std::runtime_error("again");
                        return 1;
                } catch (int i) {
                        caught++;
                        return i + PICK(100, 200);
                }
        } catch (const std::runtime_error &) {
                caught++;
                return 77;
        } catch (const std::exception &e) {
                caught++;
                return e.what()[0];
        }
        return 0;
}

NOINLINE static int caught_get() {
        return caught;
}

void target_work(void) {
        catcher((int)harness_turns());
        EXPECT_EQ(alive, 0);
}

void target_check(int version) {
        bool n = version >= 2;
        int before = caught_get();
        EXPECT_EQ(catcher(4), n ? 204 : 104);
        EXPECT_EQ(catcher(1), n ? 77 : 1);
        EXPECT_EQ(catcher(2), 'l');
        EXPECT_EQ(catcher(3), 0);
        EXPECT_EQ(caught_get() - before, n ? 4 : 3);
        EXPECT_EQ(alive, 0);
}

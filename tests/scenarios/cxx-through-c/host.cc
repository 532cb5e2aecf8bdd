/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdexcept>
#include <string>
#include <vector>
extern "C" long subject_visit(long n, long (*callback)(long));
extern "C" long subject_depth(void);

static long limit;
static long alive;
struct Guard {
        Guard() { alive++; }
        ~Guard() { alive--; }
};
static long callback(long v) {
        Guard g;
        if (v == limit)
                throw std::out_of_range("at " + std::to_string(v));
        return v == 2 ? -1 : v;
}
/* The registers that the C code saved must be back in the handler. */
NOINLINE static long attempt(long n, long at) {
        std::vector<long> a = { n, at, n * 7, at * 11 };
        long b = n * 3, c = at * 5, d = n ^ at;
        limit = at;
        try {
                Guard g;
                long r = subject_visit(n, callback);
                return r + (b + c + d) * 0;
        } catch (const std::out_of_range &e) {
                if (a[0] != n || a[1] != at || a[2] != n * 7 || a[3] != at * 11 || b != n * 3 || c != at * 5 || d != (n ^ at))
                        return -9999;
                return -(long)std::string(e.what()).size();
        }
}
void target_work(void) {
        attempt(6, (long)harness_turns() % 10);
        EXPECT_EQ(alive, 0);
        subject_depth();
}
void target_check(int version) {
        bool n = version >= 2;
        subject_depth();
        EXPECT_EQ(attempt(3, 50), n ? (0 + 1 - 1 + 3) * 3 + 100 : (0 + 1 - 1 + 3) * 2 + 10);
        EXPECT_EQ(subject_depth(), 0);
        EXPECT_EQ(attempt(3, 1), -4);
        EXPECT_EQ(subject_depth(), 1);
        EXPECT_EQ(attempt(20, 12), -5);
        EXPECT_EQ(alive, 0);
}

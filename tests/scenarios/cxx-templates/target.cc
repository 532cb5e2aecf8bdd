/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <algorithm>
#include <map>
#include <string>
#include <vector>

static long ops;
template <typename T> struct Ring {
        std::vector<T> v;
        size_t at = 0;
        NOINLINE void put(T x) {
                ops++;
                if (v.size() < 8)
                        v.push_back(x);
                else
                        v[at++ % 8] = x;
        }
        NOINLINE T sum() const {
                T s{};
                for (const T &x : v)
                        s += x;
                return s * (T)PICK(1, 2);
        }
};
static Ring<int> ints;
static Ring<double> reals;
static Ring<unsigned char> bytes;
static std::map<std::string, long> names;

NOINLINE static long name_add(const char *s, long v) {
        return names[s] += v * PICK(1, 3);
}

void target_start(void) {
        for (int i = 0; i < 8; i++)
                ints.put(i), reals.put(i * 0.5), bytes.put((unsigned char)i);
        names["fixed"] = 7;
}

void target_work(void) {
        name_add("work", 1);
        EXPECT_EQ(ints.sum() % 28, 0);
}

void target_check(int version) {
        bool n = version >= 2;
        EXPECT_EQ(ints.sum(), n ? 56 : 28);
        EXPECT(reals.sum() == (n ? 28.0 : 14.0));
        EXPECT_EQ(bytes.sum(), n ? 56 : 28);
        long before = name_add("probe", 0);
        EXPECT_EQ(name_add("probe", 2) - before, n ? 6 : 2);
        EXPECT_EQ(names["fixed"], 7);
}

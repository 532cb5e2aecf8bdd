/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <functional>

/* An object of the heap begins with the address of add(), as a coroutine's does. */
struct Adder {
        long calls = 0;
        NOINLINE long add(long v) {
                calls++;
                return v + PICK(1, 2);
        }
};
static Adder adder;
static std::function<long(long)> bound;

NOINLINE static std::function<long(long)> bind(Adder *a) {
        return std::bind(&Adder::add, a, std::placeholders::_1);
}
void target_start(void) {
        bound = bind(&adder);
}
void target_work(void) {
        bound(1);
}
void target_check(int version) {
        EXPECT_EQ(bound(1), version >= 2 ? 3 : 2);
        EXPECT(adder.calls > 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <coroutine>
#include <cstdlib>

struct Task {
        struct promise_type {
                long value = 0;
                Task get_return_object() { return { std::coroutine_handle<promise_type>::from_promise(*this) }; }
                std::suspend_never initial_suspend() noexcept { return {}; }
                std::suspend_always final_suspend() noexcept { return {}; }
                std::suspend_always yield_value(long v) {
                        value = v;
                        return {};
                }
                void return_void() {}
                void unhandled_exception() { abort(); }
        };
        std::coroutine_handle<promise_type> handle;
        long next() {
                long v = handle.promise().value;
                handle.resume();
                return v;
        }
};

#ifdef SAME
#define STEP PICK(1, 10)
#else
#define STEP 1
#endif
NOINLINE static long step(long v) {
        return v + STEP;
}

/* Without SAME what n counts has changed: half steps, in the place where whole ones were. */
NOINLINE static Task count(long start) {
#if NEW && !defined(SAME)
        for (long n = start * 2;; n += 2)
                co_yield n / 2;
#else
        for (long n = start;; n = step(n))
                co_yield n;
#endif
}

static Task early;

void target_start(void) {
        early = count(1); /* waits in the old code when it is patched */
}
void target_work(void) {
        early.next();
}
void target_check(int version) {
        long d = version >= 2 ? STEP : 1, a = early.next(), b = early.next();
        EXPECT_EQ(b - a, d); /* b was made since */
        Task late = count(5);
        EXPECT_EQ(late.next(), 5);
        EXPECT_EQ(late.next(), 5 + d);
        late.handle.destroy();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <coroutine>
#include <cstdlib>

struct Task {
        struct promise_type {
                Task get_return_object() { return { std::coroutine_handle<promise_type>::from_promise(*this) }; }
                std::suspend_never initial_suspend() noexcept { return {}; }
                std::suspend_always final_suspend() noexcept { return {}; }
                void return_void() {}
                void unhandled_exception() { abort(); }
        };
        std::coroutine_handle<promise_type> handle;
};

static long counted, paid;
NOINLINE static void count(long v) {
        counted += v + 1;
}
NOINLINE static void pay(long v) {
        paid += v * 7;
}

/* The instructions are the same, but for what is called. */
NOINLINE static Task both(long v) {
#if NEW
        pay(v);
        co_await std::suspend_always{};
        count(v);
#else
        count(v);
        co_await std::suspend_always{};
        pay(v);
#endif
}

static Task early;

void target_start(void) {
        early = both(3); /* waits in the old code when it is patched */
}
void target_work(void) {
}
void target_check(int version) {
        early.handle.resume();
        EXPECT_EQ(counted, 4);
        EXPECT_EQ(paid, 21);
        early.handle.destroy();
        counted = paid = 0;
        early = both(3);
}

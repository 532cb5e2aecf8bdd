/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <ucontext.h>

static ucontext_t home, context;
static long produced;
static volatile long one = 1;

#if NEW
NOINLINE static long weigh(long v, long by) {
        return v > 100 ? v / 3 + by : v * 7 + by;
}
#else
NOINLINE static long weigh(long v) {
        return v > 100 ? v / 3 : v * 7;
}
#endif

/* Suspended in here by the old code: goes on with the old call. */
NOINLINE static void produce(long v) {
        swapcontext(&context, &home);
#if NEW
        produced += weigh(v, v == 3);
#else
        produced += weigh(v);
#endif
}

static void loop(void) {
        for (;;)
                produce(one);
}

void target_start(void) {
        getcontext(&context);
        context.uc_stack.ss_sp = malloc(65536);
        context.uc_stack.ss_size = 65536;
        makecontext(&context, loop, 0);
        swapcontext(&home, &context);
}

void target_check(int version) {
        (void)version;
        produced = 0;
        swapcontext(&home, &context);
        EXPECT_EQ(produced, 7);
}

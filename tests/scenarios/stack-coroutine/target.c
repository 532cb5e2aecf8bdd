/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <ucontext.h>

enum { N = 4 };
static ucontext_t home, context[N];
static char *stacks[N];
static int current;
static long produced[N];
static bool suspended[N];

NOINLINE static void yield(void) {
        suspended[current] = true;
        swapcontext(&context[current], &home);
        suspended[current] = false;
}

NOINLINE static void produce(long v) {
        produced[current] += v;
        yield();
        produced[current] += v * PICK(1, 10);
}

static void loop(void) {
        for (;;) {
                produce(1);
                yield();
        }
}

NOINLINE static void resume(int i) {
        current = i;
        swapcontext(&home, &context[i]);
}

void target_start(void) {
        for (int i = 0; i < N; i++) {
                stacks[i] = malloc(65536);
                getcontext(&context[i]);
                context[i].uc_stack.ss_sp = stacks[i];
                context[i].uc_stack.ss_size = 65536;
                makecontext(&context[i], loop, 0);
                resume(i); /* now suspended in produce(), for as long as nothing resumes it */
        }
}

void target_check(int version) {
        long first = produced[0];
        resume(0); /* the second half, of whichever produce() it entered */
        long gain = produced[0] - first;
        EXPECT(gain == 1 || gain == 10);
        for (int round = 0; round < 3; round++) {
                resume(0), first = produced[0];
                resume(0);
                EXPECT_EQ(produced[0] - first, version >= 2 ? 10 : 1);
        }
        resume(0);
}

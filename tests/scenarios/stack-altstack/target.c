/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <signal.h>
#include <time.h>

static volatile long handled;
static volatile sig_atomic_t wrong;

NOINLINE static void nap(long usec) {
        struct timespec t = { 0, usec * 1000 };
        if (nanosleep(&t, NULL) != 0)
                wrong = 1;
}

NOINLINE static long inside(long v) {
        nap(4000);
        handled++;
        return v + PICK(1, 2);
}

static void handler(int sig) {
        long r = inside(sig);
        if (r != sig + 1 && r != sig + 2)
                wrong = 1;
}

static void body(int index) {
        static __thread char *stack;
        if (!stack) {
                stack = malloc(65536);
                stack_t s = { .ss_sp = stack, .ss_size = 65536 };
                CALL(sigaltstack(&s, NULL));
        }
        pthread_kill(pthread_self(), SIGUSR1);
        nap(8000 + index * 100);
}

void target_start(void) {
        struct sigaction a = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
        CALL(sigaction(SIGUSR1, &a, NULL));
        harness_workers(2, body);
}
void target_check(int version) {
        EXPECT_EQ(inside(1), version >= 2 ? 3 : 2);
        EXPECT(!wrong);
        EXPECT(handled > 0);
}

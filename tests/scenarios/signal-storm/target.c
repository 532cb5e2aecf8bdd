/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <signal.h>
#include <sys/time.h>

static volatile long ticks, sum;
static volatile sig_atomic_t wrong;

NOINLINE static long work(long v) {
        sum += v;
        return v + PICK(1, 2);
}

static void handler(int sig) {
        long r = work(sig);
        ticks++;
        if (r != sig + 1 && r != sig + 2)
                wrong = 1;
}

static void body(int index) {
        volatile long spin = 0;
        for (int i = 0; i < 20000; i++)
                spin += i;
        usleep(500 + (unsigned)index);
}

void target_start(void) {
        struct sigaction a = { .sa_handler = handler, .sa_flags = SA_RESTART };
        struct itimerval t = { { 0, 1000 }, { 0, 1000 } };
        harness_signals();
        CALL(sigaction(SIGALRM, &a, NULL));
        harness_workers(2, body);
        CALL(setitimer(ITIMER_REAL, &t, NULL));
}
void target_check(int version) {
        EXPECT_EQ(work(1), version >= 2 ? 3 : 2);
        long t = ticks;
        while (ticks < t + 5)
                ;
        EXPECT(!wrong);
}

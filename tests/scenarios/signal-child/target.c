/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <signal.h>
#include <sys/wait.h>

static volatile long notified;
static long forked, reaped;

NOINLINE static int status_of(int v) { forked++; return v + PICK(1, 2); }
static void handler(int sig) { (void)sig; notified++; }

static void one(void) {
        int want = status_of(5), status;
        pid_t p = fork();
        if (p == 0)
                _exit(want);
        EXPECT(p > 0);
        pid_t r;
        do
                r = waitpid(p, &status, 0);
        while (r < 0 && errno == EINTR); /* by its own SIGCHLD */
        EXPECT_EQ(r, p);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == want);
        reaped++;
}

void target_start(void) {
        struct sigaction a = { .sa_handler = handler };
        harness_signals();
        CALL(sigaction(SIGCHLD, &a, NULL));
}
void target_work(void) { one(); }
void target_check(int version) {
        EXPECT_EQ(status_of(5), version >= 2 ? 7 : 6);
        forked--;
        one();
        EXPECT_EQ(forked, reaped);
        EXPECT(notified > 0);
}

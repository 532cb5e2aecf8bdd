/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static long calls;
static volatile long rounds, wrong, stop;
NOINLINE static long work(long v) { __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED); return v + PICK(1, 2); }
static char *stack;
static pid_t sharer;

static int share(void *arg) {
        (void)arg;
        while (!stop) {
                long r = work(1);
                if (r != 2 && r != 3)
                        wrong = 1;
                rounds++;
                usleep(300);
        }
        return 0;
}
void target_start(void) {
        stack = malloc(256 << 10);
        sharer = (pid_t)CALL(clone(share, stack + (256 << 10), CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, NULL));
        harness_pid(getpid());
}
void target_check(int version) {
        long r = rounds;
        EXPECT_EQ(work(5), version >= 2 ? 7 : 6);
        while (rounds < r + 5)
                usleep(100);
        EXPECT(!wrong);
}
void target_stop(void) {
        int status = -1;
        stop = 1;
        EXPECT_EQ(waitpid(sharer, &status, 0), sharer);
        EXPECT_EQ(status, 0);
}

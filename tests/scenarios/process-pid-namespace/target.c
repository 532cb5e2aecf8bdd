/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sched.h>
#include <sys/wait.h>

#ifndef EXTRA_NAMESPACES
#define EXTRA_NAMESPACES
#endif

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
static int to[2], from[2];
static pid_t child;

static void body(int index) {
        (void)index;
        work(0);
        usleep(300);
}

void target_start(void) {
        CALL(pipe(to)), CALL(pipe(from));
        if (unshare(EXTRA_NAMESPACES CLONE_NEWPID) != 0)
                harness_skip("no pid namespaces");
        if ((child = fork()) == 0) {
                long v;
                close(to[1]), close(from[0]);
                harness_workers(2, body);
                while (read(to[0], &v, sizeof(v)) == sizeof(v)) {
                        v = getpid() == 1 ? work(v) : -1;
                        if (write(from[1], &v, sizeof(v)) != sizeof(v))
                                break;
                }
                harness_workers_stop();
                _exit(0);
        }
        close(to[0]), close(from[1]);
        harness_pid(child);
}
void target_check(int version) {
        long v = 5;
        EXPECT_EQ(write(to[1], &v, sizeof(v)), sizeof(v));
        EXPECT_EQ(read(from[0], &v, sizeof(v)), sizeof(v));
        EXPECT_EQ(v, version >= 2 ? 7 : 6);
}
void target_end(void) {
        int status = -1;
        close(to[1]);
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
}

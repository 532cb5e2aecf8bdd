/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The child is the one to patch; it serves over pipes with read and write alone. */
static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
static int to[2], from[2];
static pid_t child;

void target_start(void) {
        char c;
        CALL(pipe(to)), CALL(pipe(from));
        if ((child = fork()) == 0) {
                long v;
                close(to[1]), close(from[0]);
                if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
                        _exit(1);
                if (write(from[1], "r", 1) != 1)
                        syscall(SYS_exit, 1);
                while (read(to[0], &v, sizeof(v)) == sizeof(v)) {
                        v = work(v);
                        if (write(from[1], &v, sizeof(v)) != sizeof(v))
                                break;
                }
                syscall(SYS_exit, 0);
        }
        close(to[0]), close(from[1]);
        EXPECT(read(from[0], &c, 1) == 1);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
static long runs;
NOINLINE static long work(long v) { __atomic_add_fetch(&runs, 1, __ATOMIC_RELAXED); return v + PICK(1, 2); }

static void reap(pid_t p) {
        int status = -1;
        EXPECT(p > 0);
        EXPECT_EQ(CALL(waitpid(p, &status, 0)), p);
        EXPECT_EQ(status, 0);
}
static void body(int index) {
        char *const argv[] = { (char *)"/bin/true", NULL };
        pid_t p;
        if (index == 0) {
                p = vfork();
                if (p == 0) {
                        execve("/bin/true", argv, environ);
                        _exit(127);
                }
        } else {
                CALL(-posix_spawn(&p, "/bin/true", NULL, NULL, argv, environ));
        }
        reap(p);
        long r = work(1);
        EXPECT(r == 2 || r == 3);
        usleep(2000);
}
void target_start(void) { harness_workers(2, body); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }

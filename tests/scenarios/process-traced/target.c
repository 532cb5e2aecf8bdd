/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
static pid_t tracer;
static int ready[2], leave[2];

void target_start(void) {
        char c;
        pid_t me = getpid();
        CALL(pipe(ready)), CALL(pipe(leave));
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
        if ((tracer = fork()) == 0) {
                close(leave[1]);
                char ok = ptrace(PTRACE_SEIZE, me, NULL, NULL) == 0;
                if (write(ready[1], &ok, 1) != 1)
                        _exit(1);
                (void)!read(leave[0], &c, 1);
                _exit(0); /* which detaches */
        }
        EXPECT(read(ready[0], &c, 1) == 1);
        if (!c)
                harness_skip("ptrace is not allowed here");
        harness_pid(getpid());
}
void target_command(const char *word) {
        int status;
        EXPECT_STR(word, "detach");
        close(leave[1]);
        EXPECT_EQ(waitpid(tracer, &status, 0), tracer);
}
void target_work(void) { work(0); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }

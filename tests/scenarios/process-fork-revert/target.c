/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sys/wait.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
static int to[2], from[2];
static pid_t child;

static long ask(long v) {
        EXPECT_EQ(write(to[1], &v, sizeof(v)), sizeof(v));
        EXPECT_EQ(read(from[0], &v, sizeof(v)), sizeof(v));
        return v;
}
void target_command(const char *word) {
        (void)word;
        CALL(pipe(to)), CALL(pipe(from));
        if ((child = fork()) == 0) {
                long v;
                close(to[1]), close(from[0]);
                while (read(to[0], &v, sizeof(v)) == sizeof(v)) {
                        v = work(v);
                        if (write(from[1], &v, sizeof(v)) < 0)
                                break;
                }
                _exit(0);
        }
        close(to[0]), close(from[1]);
        /* From now on the child is the process to patch. The answer comes first. */
        char text[64];
        int n = snprintf(text, sizeof(text), "ok\nREADY %d\n", (int)child);
        EXPECT(write(STDOUT_FILENO, text, (size_t)n) == n);
        harness_replied();
}
void target_check(int version) {
        EXPECT_EQ(child ? ask(5) : work(5), version >= 2 ? 7 : 6);
        if (child)
                EXPECT_EQ(work(5), 7); /* the parent keeps its patch */
}
void target_end(void) {
        int status = 0;
        if (child) {
                close(to[1]);
                EXPECT_EQ(waitpid(child, &status, 0), child);
        }
        EXPECT_EQ(status, 0);
}

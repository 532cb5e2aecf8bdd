/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <fcntl.h>
#include <sys/wait.h>
long subject_total(void), subject_step(long);
enum { N = 20 };
static int to[N], from[N];
static pid_t child[N];
static void child_main(int in, int out, long index) {
        int version;
        while (read(in, &version, sizeof(version)) == sizeof(version)) {
                subject_step(index);
                long b = subject_total();
                char ok = subject_step(5) - b == (version >= 2 ? 10 : 5);
                if (write(out, &ok, 1) != 1)
                        _exit(1);
        }
        _exit(0);
}
void target_start(void) {
        for (int i = 0; i < N; i++) {
                int a[2], b[2];
                EXPECT(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
                subject_step(1);
                if ((child[i] = fork()) == 0) {
                        for (int j = 0; j < i; j++)
                                close(to[j]), close(from[j]);
                        close(a[1]), close(b[0]);
                        child_main(a[0], b[1], i);
                }
                close(a[0]), close(b[1]);
                to[i] = a[1], from[i] = b[0];
                harness_pid(child[i]);
        }
        harness_pid(getpid());
}
void target_work(void) { subject_step(1); }
void target_check(int version) {
        for (int i = 0; i < N; i++) {
                char ok = 0;
                EXPECT(write(to[i], &version, sizeof(version)) == sizeof(version));
                EXPECT(read(from[i], &ok, 1) == 1 && ok);
        }
        long b = subject_total();
        EXPECT_EQ(subject_step(5) - b, version >= 2 ? 10 : 5);
}
void target_end(void) {
        for (int i = 0; i < N; i++) {
                int status = -1;
                close(to[i]);
                EXPECT_EQ(waitpid(child[i], &status, 0), child[i]);
                EXPECT_EQ(status, 0);
        }
}

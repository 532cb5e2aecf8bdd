/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <signal.h>
#include <sys/wait.h>

/* The harness's process is the controller; its child is patched, and stopped by it. */
static int to[2], from[2];
static pid_t child;

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }

static void serve(void) {
        long v;
        while (read(to[0], &v, sizeof(v)) == sizeof(v)) {
                v = work(v);
                if (write(from[1], &v, sizeof(v)) != sizeof(v))
                        break;
        }
        _exit(0);
}

void target_start(void) {
        CALL(pipe(to));
        CALL(pipe(from));
        if ((child = fork()) == 0) {
                close(to[1]), close(from[0]);
                serve();
        }
        close(to[0]), close(from[1]);
        harness_pid(child);
}
void target_command(const char *word) {
        int status;
        if (!strcmp(word, "stop")) {
                CALL(kill(child, SIGSTOP));
                EXPECT_EQ(waitpid(child, &status, WUNTRACED), child);
                EXPECT(WIFSTOPPED(status));
        } else {
                /* It must still be stopped: nothing but this wakes it. */
                char path[64], text[256] = "";
                snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
                FILE *f = fopen(path, "re");
                EXPECT(f && fgets(text, sizeof(text), f));
                if (f)
                        fclose(f);
                char *p = strrchr(text, ')');
                EXPECT(p && p[2] == 'T');
                CALL(kill(child, SIGCONT));
        }
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor for a pause: all threads of a process are seized, stopped, their registers read, and
 * let go, with nothing in between. Measured from the first interrupt to the last detach.
 * Usage: stop-floor PID. Does it once for each line on standard input; prints {"usec", "threads"}.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

enum { MAX_THREADS = 4096 };

static int list_threads(pid_t pid, pid_t *out) {
        char path[64];
        struct dirent *entry;
        int n = 0;
        DIR *d;

        snprintf(path, sizeof(path), "/proc/%d/task", pid);
        d = opendir(path);
        if (!d)
                return -1;
        while (n < MAX_THREADS && (entry = readdir(d)))
                if (entry->d_name[0] != '.')
                        out[n++] = atoi(entry->d_name);
        closedir(d);
        return n;
}

static int once(pid_t pid) {
        static pid_t threads[MAX_THREADS];
        struct user_regs_struct regs;
        struct timespec a, b;
        int n = list_threads(pid, threads), status, seized = 0;

        if (n <= 0)
                return -1;
        for (int i = 0; i < n; i++)
                if (ptrace(PTRACE_SEIZE, threads[i], NULL, (void *)0) == 0)
                        threads[seized++] = threads[i];
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < seized; i++)
                ptrace(PTRACE_INTERRUPT, threads[i], NULL, NULL);
        for (int i = 0; i < seized; i++)
                if (waitpid(threads[i], &status, __WALL) < 0 || !WIFSTOPPED(status))
                        return -1;
        for (int i = 0; i < seized; i++)
                if (ptrace(PTRACE_GETREGS, threads[i], NULL, &regs) < 0)
                        return -1;
        for (int i = 0; i < seized; i++)
                if (ptrace(PTRACE_DETACH, threads[i], NULL, NULL) < 0)
                        return -1;
        clock_gettime(CLOCK_MONOTONIC, &b);
        printf("{\"usec\": %.1f, \"threads\": %d}\n",
               (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3, seized);
        return 0;
}

int main(int argc, char **argv) {
        char line[64];

        if (argc != 2) {
                fprintf(stderr, "usage: stop-floor PID\n");
                return 2;
        }
        while (fgets(line, sizeof(line), stdin)) {
                if (once(atoi(argv[1])) < 0) {
                        perror("stop-floor");
                        return 1;
                }
                fflush(stdout);
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* storm RATE SECONDS PROGRAM: starts so many short processes a second; prints how many there were, and how
 * long each took on average. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
        double begun = now(), rate, seconds, busy = 0;
        unsigned long n = 0;

        if (argc != 4)
                return 2;
        rate = atof(argv[1]);
        seconds = atof(argv[2]);
        for (double t = begun; t < begun + seconds; t = now()) {
                double due = begun + (double)n / rate;
                char *const args[] = { argv[3], NULL };
                pid_t pid;

                if (t < due) {
                        struct timespec pause = { 0, (long)((due - t) * 1e9) };

                        nanosleep(&pause, NULL);
                        continue;
                }
                if (posix_spawn(&pid, argv[3], NULL, NULL, args, environ) != 0 || waitpid(pid, NULL, 0) < 0)
                        return 1;
                busy += now() - t;
                n++;
        }
        printf("%lu %f\n", n, n ? busy / (double)n * 1e6 : 0);
        return 0;
}

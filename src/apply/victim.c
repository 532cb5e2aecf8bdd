/* SPDX-License-Identifier: Apache-2.0 */
/* What the live tests of the engine patch: it answers on a pipe, and checks itself. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int counter;
static atomic_bool quit;
static atomic_uint wrong, rounds, seen_new;

int answer(int x);
int caller(int x);
void hold(int fd);

/* Replaced by the tests. The first instructions are long enough for a jump. */
__attribute__((noinline, noclone, aligned(32))) int answer(int x) {
        counter += x;
        return 1;
}

/* Both halves must be of one version at any time: a switch is all or nothing. */
__attribute__((noinline, noclone, aligned(32))) int caller(int x) {
        counter += x;
        return 1;
}

/* Stays inside until a byte comes. */
__attribute__((noinline, noclone, aligned(32))) void hold(int fd) {
        char c;

        counter++;
        if (read(fd, &c, 1) != 1)
                exit(3);
        counter++;
}

static void *work(void *arg) {
        while (!atomic_load(&quit)) {
                int a = answer(0);

                if (a != 1 && a != 2 && a != 3)
                        atomic_fetch_add(&wrong, 1);
                if (a != 1)
                        atomic_fetch_add(&seen_new, 1);
                atomic_fetch_add(&rounds, 1);
                if (arg)
                        usleep(100);
        }
        return NULL;
}

static void *breed(void *arg) {
        while (!atomic_load(&quit)) {
                pthread_t t;

                if (pthread_create(&t, NULL, (void *(*)(void *))(void *)answer, NULL) == 0)
                        pthread_join(t, NULL);
        }
        return arg;
}

int main(int argc, char **argv) {
        char line[64];
        int fds[2];
        pthread_t holder;

        setvbuf(stdout, NULL, _IONBF, 0);
        if (pipe(fds) < 0)
                return 1;
        for (int i = 1; i < argc; i++) {
                int n = atoi(argv[i] + 1);
                pthread_t t;

                for (int k = 0; argv[i][0] != 'm' && k < n; k++)
                        if (pthread_create(&t, NULL, argv[i][0] == 'b' ? breed : work,
                                           argv[i][0] == 's' ? &quit : NULL) != 0)
                                return 1;
                if (argv[i][0] == 'm' && prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0) < 0)
                        return 1;
        }
        printf("ready\n");
        while (fgets(line, sizeof(line), stdin)) {
                if (strcmp(line, "call\n") == 0)
                        printf("%d %d\n", answer(1), caller(1));
                else if (strcmp(line, "counter\n") == 0)
                        printf("%d 0\n", counter);
                else if (strcmp(line, "hold\n") == 0)
                        printf("%d 0\n", pthread_create(&holder, NULL, (void *(*)(void *))(void *)hold,
                                                        (void *)(intptr_t)fds[0]));
                else if (strcmp(line, "release\n") == 0) {
                        int failed = write(fds[1], "x", 1) != 1;

                        printf("%d %d\n", failed, pthread_join(holder, NULL));
                } else if (strcmp(line, "fork\n") == 0)
                        printf("%d 0\n", fork() == 0 ? (pause(), 0) : 1);
                else if (strcmp(line, "check\n") == 0)
                        printf("%u %u\n", atomic_load(&wrong), atomic_load(&rounds));
                else if (strcmp(line, "new\n") == 0)
                        printf("%u 0\n", atomic_load(&seen_new));
        }
        return 0;
}

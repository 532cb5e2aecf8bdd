/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that is measured. Built twice (VERSION 1 and 2): `work` is the function that a patch
 * replaces. Usage: target THREADS. The main thread calls `work` without pause and keeps the longest
 * time between two calls; the others wait in system calls. Commands on standard input:
 *   gap     the longest gap in nanoseconds since the last `gap`
 *   cycles  cycles of one call, the least of many batches
 *   value   what `work` adds: tells which version runs
 *   idle    stop calling, and wait for the next command (for many processes at once)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#ifndef VERSION
#define VERSION 1
#endif

static volatile uint64_t calls;

__attribute__((noinline)) uint64_t work(uint64_t x) {
        calls++;
#if VERSION >= 2
        return x + 2;
#else
        return x + 1;
#endif
}

/* The same amount of code, never replaced: what a direct call costs. */
__attribute__((noinline)) static uint64_t direct(uint64_t x) {
        calls++;
        return x + 3;
}

static void *wait_somewhere(void *arg) {
        uintptr_t kind = (uintptr_t)arg;
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
        int pipe_fds[2];

        switch (kind % 3) {
        case 0:
                for (;;)
                        nanosleep(&(struct timespec){ .tv_sec = 3600 }, NULL);
        case 1:
                pthread_mutex_lock(&mutex);
                for (;;)
                        pthread_cond_wait(&never, &mutex);
        default:
                if (pipe(pipe_fds) < 0)
                        return NULL;
                for (;;) {
                        char c;

                        if (read(pipe_fds[0], &c, 1) < 0)
                                return NULL;
                }
        }
}

static double nsec_per_tick;

static void calibrate(void) {
        struct timespec a, b;
        uint64_t t0, t1;

        clock_gettime(CLOCK_MONOTONIC, &a);
        t0 = __rdtsc();
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
        clock_gettime(CLOCK_MONOTONIC, &b);
        t1 = __rdtsc();
        nsec_per_tick =
                ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (double)(t1 - t0);
}

static double cycles_of(uint64_t (*function)(uint64_t)) {
        enum { BATCH = 20000, BATCHES = 300 };
        double least = 1e18;

        for (int b = 0; b < BATCHES; b++) {
                uint64_t x = 0, t0 = __rdtsc();

                for (int i = 0; i < BATCH; i++)
                        x = function(x);
                double each = (double)(__rdtsc() - t0) / BATCH;
                if (each < least)
                        least = each;
        }
        return least;
}

int main(int argc, char **argv) {
        long threads = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
        uint64_t last, longest = 0, x = 0;
        pthread_attr_t attributes;
        char line[64];

        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 65536);
        for (long i = 1; i < threads; i++) {
                pthread_t id;

                if (pthread_create(&id, &attributes, wait_somewhere, (void *)(uintptr_t)i) != 0) {
                        perror("target");
                        return 1;
                }
        }
        calibrate();
        puts("ready");
        fflush(stdout);
        last = __rdtsc();
        for (uint64_t i = 1;; i++) {
                uint64_t now;

                x = work(x);
                now = __rdtsc();
                if (now - last > longest)
                        longest = now - last;
                last = now;
                if (i % 8192 == 0 && poll(&(struct pollfd){ .fd = 0, .events = POLLIN }, 1, 0) > 0) {
                again:
                        if (!fgets(line, sizeof(line), stdin))
                                return 0;
                        if (strcmp(line, "gap\n") == 0) {
                                printf("%.0f\n", (double)longest * nsec_per_tick);
                                longest = 0;
                        } else if (strcmp(line, "cycles\n") == 0) {
                                printf("%.3f %.3f\n", cycles_of(work), cycles_of(direct));
                        } else if (strcmp(line, "value\n") == 0) {
                                printf("%d\n", (int)(work(0)));
                        } else if (strcmp(line, "idle\n") == 0) {
                                puts("idle");
                                fflush(stdout);
                                goto again;
                        }
                        fflush(stdout);
                        last = __rdtsc();
                }
        }
}

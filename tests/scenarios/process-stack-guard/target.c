/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <poll.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
static int pipes[2];
static pthread_t thread;
static volatile int deep;

NOINLINE static void descend(char *floor) {
        char here[256];
        here[0] = 1;
        __asm__ volatile("" : : "r"(here) : "memory");
        if (here - floor > 1600)
                descend(floor);
        else {
                struct pollfd p = { pipes[0], POLLIN, 0 };
                deep = 1;
                EXPECT_EQ(poll(&p, 1, -1), 1);
        }
        __asm__ volatile("" : : "r"(here) : "memory");
}
static void *body(void *arg) {
        pthread_attr_t a;
        void *base;
        size_t size, guard;
        pthread_getattr_np(pthread_self(), &a);
        pthread_attr_getstack(&a, &base, &size);
        pthread_attr_getguardsize(&a, &guard);
        descend((char *)base + guard); /* glibc counts the guard in */
        pthread_attr_destroy(&a);
        return arg;
}
void target_start(void) {
        pthread_attr_t a;
        CALL(pipe(pipes));
        pthread_attr_init(&a);
        pthread_attr_setstacksize(&a, 32768);
        CALL(-pthread_create(&thread, &a, body, NULL));
        while (!deep)
                usleep(100);
}
void target_work(void) { work(0); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }
void target_stop(void) {
        CALL(write(pipes[1], "x", 1));
        CALL(-pthread_join(thread, NULL));
}

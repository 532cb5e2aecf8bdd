/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

static long calls, rounds[8];
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }

static int quiet[2];

static void body(int index) {
        struct timespec t = { 0, 20000000 };
        struct timeval tv = { 0, 20000 };
        struct pollfd p = { quiet[0], POLLIN, 0 };
        struct epoll_event e;
        static __thread int epfd = -1;
        char c;
        sigset_t s;
        fd_set f;
        uint64_t before = harness_usec();
        switch (index) {
        case 0: EXPECT_EQ(poll(&p, 1, 20), 0); break;
        case 1: EXPECT_EQ(nanosleep(&t, NULL), 0); break;
        case 2:
                FD_ZERO(&f);
                FD_SET(quiet[0], &f);
                EXPECT_EQ(select(quiet[0] + 1, &f, NULL, NULL, &tv), 0);
                break;
        case 3:
                if (epfd < 0)
                        epfd = epoll_create1(0);
                EXPECT_EQ(epoll_wait(epfd, &e, 1, 20), 0);
                break;
        case 4:
                sigemptyset(&s);
                sigaddset(&s, SIGRTMIN);
                EXPECT(sigtimedwait(&s, NULL, &t) == -1 && errno == EAGAIN);
                break;
        case 5: {
                static unsigned word;
                EXPECT(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0) == -1 && errno == ETIMEDOUT);
                break;
        }
        case 6:
                setsockopt(quiet[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
                EXPECT(recv(quiet[0], &c, 1, 0) == -1 && errno == EAGAIN);
                break;
        default: EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL), 0);
        }
        EXPECT(harness_usec() - before >= 19500);
        rounds[index]++;
}

void target_start(void) {
        CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet));
        harness_workers(8, body);
}
void target_work(void) { work(1); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }
void target_end(void) {
        for (int i = 0; i < 8; i++)
                EXPECT(rounds[i] > 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <signal.h>

static volatile long received, last;
static volatile sig_atomic_t wrong, over;
static long sent;
static pthread_t receiver;

NOINLINE static long work(long v) { received++; return v + PICK(1, 2); }

static void handler(int sig, siginfo_t *info, void *context) {
        (void)sig, (void)context;
        if (info->si_value.sival_int == 0) { /* the last one */
                over = 1;
                return;
        }
        long r = work(info->si_value.sival_int);
        if (info->si_value.sival_int != last + 1 || r - last < 2 || r - last > 3)
                wrong = 1;
        last = info->si_value.sival_int;
}

static void *receive(void *arg) {
        sigset_t s;
        pthread_sigmask(SIG_SETMASK, NULL, &s);
        sigdelset(&s, SIGRTMIN);
        while (!over)
                sigsuspend(&s); /* not pause(): the last signal may come between the question and the wait */
        return arg;
}

static void send_some(int n) {
        for (int i = 0; i < n; i++) {
                union sigval v = { .sival_int = (int)(sent + 1) };
                if (pthread_sigqueue(receiver, SIGRTMIN, v) != 0)
                        break; /* the queue is full: later */
                sent++;
        }
}

void target_start(void) {
        struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, SIGRTMIN);
        CALL(-pthread_sigmask(SIG_BLOCK, &s, NULL));
        CALL(sigaction(SIGRTMIN, &a, NULL));
        CALL(-pthread_create(&receiver, NULL, receive, NULL));
}
void target_work(void) { send_some(20); }
void target_check(int version) {
        while (last < sent)
                usleep(100);
        EXPECT_EQ(received, sent);
        received--;
        EXPECT_EQ(work(1), version >= 2 ? 3 : 2);
        EXPECT(!wrong);
}
void target_stop(void) {
        while (last < sent)
                usleep(100);
        union sigval end = { .sival_int = 0 };
        CALL(-pthread_sigqueue(receiver, SIGRTMIN, end));
}
void target_end(void) {
        pthread_join(receiver, NULL);
        EXPECT_EQ(received, sent);
        EXPECT(!wrong);
}

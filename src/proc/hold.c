/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/hold.h"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { TICK_USEC = 2000, NICE_LEAST = -20, SLICE_NSEC = 100000, DEADLINE = 6 /* SCHED_DEADLINE */ };

/* The first version of the kernel's struct sched_attr; the C library has none of its own. */
struct attributes {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period; /* nanoseconds; runtime of SCHED_OTHER: its slice (Linux 6.12) */
};

static struct {
        unsigned depth;
        bool changed;
        struct attributes before;
} hold;

static void on_alarm(int sig) {
        (void)sig; /* its coming is what makes waitpid() return */
}

static void tick(bool on) {
        struct sigaction sa = { .sa_handler = on_alarm }; /* no SA_RESTART */
        struct itimerval it = { { 0, on ? TICK_USEC : 0 }, { 0, on ? TICK_USEC : 0 } };

        if (on)
                sigaction(SIGALRM, &sa, NULL);
        setitimer(ITIMER_REAL, &it, NULL);
}

static bool is_fair(uint32_t policy) {
        return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

static bool set(struct attributes *a) {
        a->size = sizeof(*a);
        return syscall(SYS_sched_setattr, 0, a, 0) == 0;
}

void hold_begin(void) {
        if (hold.depth++)
                return;
        hold.changed = false;
        if (syscall(SYS_sched_getattr, 0, &hold.before, sizeof(hold.before), 0) == 0 &&
            is_fair(hold.before.policy))
                /* A control group may have no real-time budget; a process that is bound to processors, no
                 * deadlines. */
                hold.changed = set(&(struct attributes){ .policy = SCHED_FIFO, .priority = 1 }) ||
                               set(&(struct attributes){ .policy = DEADLINE,
                                                         .runtime = 9000000,
                                                         .deadline = 10000000,
                                                         .period = 10000000 }) ||
                               set(&(struct attributes){ .nice = NICE_LEAST, .runtime = SLICE_NSEC }) ||
                               set(&(struct attributes){ .nice = hold.before.nice, .runtime = SLICE_NSEC });
        tick(true);
}

void hold_end(void) {
        if (--hold.depth)
                return;
        if (hold.changed)
                set(&hold.before);
        tick(false);
}

void hold_nothing(void) {
        static const struct sched_param none;

        if (sched_getscheduler(0) == SCHED_OTHER)
                sched_setscheduler(0, SCHED_BATCH, &none); /* not allowed: then without */
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/hold.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

enum { TICK_USEC = 2000, NICE_LEAST = -20 };

static struct {
        unsigned depth;
        bool policy_changed, nice_changed;
        int policy, nice;
        struct sched_param param;
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

static bool is_fair(int policy) {
        return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

void hold_begin(void) {
        static const struct sched_param first = { .sched_priority = 1 }, none;

        if (hold.depth++)
                return;
        hold.policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
        if (is_fair(hold.policy) && sched_getparam(0, &hold.param) == 0) {
                hold.policy_changed = sched_setscheduler(0, SCHED_FIFO, &first) == 0;
                if (!hold.policy_changed) { /* not allowed here */
                        errno = 0;
                        hold.nice = getpriority(PRIO_PROCESS, 0);
                        hold.nice_changed = errno == 0 && setpriority(PRIO_PROCESS, 0, NICE_LEAST) == 0;
                        hold.policy_changed = sched_setscheduler(0, SCHED_OTHER, &none) == 0;
                }
        }
        tick(true);
}

void hold_end(void) {
        if (--hold.depth)
                return;
        if (hold.policy_changed)
                sched_setscheduler(0, hold.policy, &hold.param);
        if (hold.nice_changed)
                setpriority(PRIO_PROCESS, 0, hold.nice);
        hold.policy_changed = hold.nice_changed = false;
        tick(false);
}

void hold_nothing(void) {
        static const struct sched_param none;

        if (sched_getscheduler(0) == SCHED_OTHER)
                sched_setscheduler(0, SCHED_BATCH, &none); /* not allowed: then without */
}

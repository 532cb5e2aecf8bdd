/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/about.h"
#include "deliver/manager.h"
#include "deliver/policy.h"
#include "store/store.h"

#include <signal.h>

/*
 * What could not be hotpatched is restarted in a maintenance window: the pending restarts of the state, in
 * the order of the units' dependencies, each drained, restarted by systemd, and checked. What can't be done
 * is told by an event, never passed over in silence.
 */

/* One restart of the plan. Strings belong to the plan's arena. */
typedef struct RestartStep {
        const char *subject; /* as in the state: a unit, or "process COMM" */
        const char *reason;  /* refusal code of its first image */
        const char **images; /* the outdated ones' paths */
        size_t n_images;
        About about;       /* what its events say besides */
        const char **with; /* active units that systemd restarts with it, for their dependencies; sorted */
        size_t n_with;
        const char *obstacle;    /* why it is not restarted by itself; NULL: it is */
        bool machine;            /* with an obstacle: a restart of the machine is what helps */
        uint64_t need_usec;      /* the longest that it may take: draining, stopping, starting, checking */
        uint64_t since_usec;     /* CLOCK_REALTIME */
        const char *last_result; /* of the last try; "": there was none */
        char invocation[33];     /* of the unit, when the plan was made */
} RestartStep;

typedef struct RestartPlan {
        Arena *arena;
        RestartStep *steps; /* in the order in which they are done; those with an obstacle last */
        size_t n;
        const char *machine;         /* why the machine has to be restarted; NULL: it has not */
        uint64_t machine_since_usec; /* CLOCK_REALTIME */
        bool reboots;                /* the machine is restarted after them, in this window */
        About about;                 /* packages and CVEs of all of them */
} RestartPlan;

/* What is pending and `window` covers (NULL: all), in order. Without a manager (NULL) every step has the same
 * obstacle. */
int restart_plan(const Policy *p, Store *s, Manager *m, const Window *window, RestartPlan *out, Error *e);
void restart_plan_free(RestartPlan *p);

/* What a hook wants: that the machine is restarted, since only that ends what it has begun. `e` says what. */
enum { RESTART_REBOOTS = 1000 };

/*
 * What is done around the restarts of a window (a snapshot before, a rollback after). Each function may be
 * NULL. They run in the executor's process, with the agent's narrowed rights.
 */
typedef struct RestartHooks {
        void *data;
        /* When a turn begins: goes on with what one that was cut off has left. Negative: nothing is done in
         * this turn, and `e` says why. RESTART_REBOOTS: nor is it when the machine may be restarted; *about
         * (empty before) gets what that is for, in the arena. */
        int (*resume)(void *data, Arena *arena, About *about, Error *e);
        /* Before the first restart, when there is something to be done. Not 0: nothing is restarted in this
         * turn, and `e` says why. */
        int (*before)(void *data, const RestartPlan *plan, Error *e);
        /* After each restart that systemd calls good, of the unit and of each that was restarted with it,
         * before it is taken into use again: is the service well? Not 0: the restart counts as failed, and
         * `e` says what is wrong. */
        int (*came_up)(void *data, const char *unit, Error *e);
        /* After the last, before the machine is restarted; so many were `done` and `failed`. Not 0: the
         * machine is not restarted (but with RESTART_REBOOTS), and `e` says why. */
        int (*after)(void *data, const RestartPlan *plan, size_t done, size_t failed, Error *e);
} RestartHooks;

typedef struct RestartOptions {
        const Policy *policy;
        const char *state;         /* folder */
        const char *events;        /* file, where there is no journal */
        const char *lock;          /* file: one executor at a time, also one whose agent was killed */
        const char *root;          /* only images below it; NULL: all */
        const RestartHooks *hooks; /* called in order */
        size_t n_hooks;
        bool looked; /* a full round has ended: before, no window is opened, since nobody knows what is
                        pending */
        const volatile sig_atomic_t
                *stop; /* set by a signal's handler: no other restart is begun; may be NULL */
} RestartOptions;

/* What waited for its restart in an earlier boot does not any more. Before the first round of an agent and
 * its first turn: that would ask for a restart of the machine that has just been made. */
void restart_forget_earlier_boot(Store *store);

/* Sleeps so long. -EINTR: this process is to end. What is to stop a turn is a signal that it has blocked, and
 * hears of only here: it can't come in the middle of a call to systemd. */
int restart_pause(uint64_t usec);

/*
 * One turn, when something may be due: undoes what an executor that was killed has left behind, writes
 * reboot-required, tells of windows that have passed, and restarts what is pending when a window is open. A
 * turn that has nothing to do costs next to nothing. Returns how many restarts failed, or negative.
 */
int restart_turn(const RestartOptions *o, Error *e);

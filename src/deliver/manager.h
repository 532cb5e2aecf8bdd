/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The system's service manager, asked over the system bus (DBUS_SYSTEM_BUS_ADDRESS in the environment:
 * another). Jobs are awaited by the manager's signals. Results are systemd's words.
 */
typedef struct Manager Manager;

/* -ENOTCONN and others: there is no systemd to ask. */
int manager_open(Manager **out, Error *e);
Manager *manager_close(Manager *m); /* accepts NULL; returns NULL */
static inline void manager_closep(Manager **m) {
        manager_close(*m);
}

enum { MANAGER_WORD = 32, MANAGER_NAME = 256 };

typedef struct UnitState {
        char name[MANAGER_NAME]; /* its own; what was asked for may be an alias */
        char load[MANAGER_WORD], active[MANAGER_WORD];
        char type[MANAGER_WORD];   /* of a service: "simple", "oneshot", ...; "" of other units */
        char result[MANAGER_WORD]; /* of a service: "success", "exit-code", ... */
        char invocation[33];       /* another one after each start; "" when it never started */
        char cgroup[PATH_MAX];
        uint32_t n_restarts;                    /* that systemd made by itself */
        uint64_t start_max_usec, stop_max_usec; /* UINT64_MAX: without end */
        bool refuses;                           /* to be stopped by hand */
} UnitState;

int manager_unit(Manager *m, const char *unit, UnitState *out, Error *e);
/* The unit names of a property ("After", "RequiredBy", ...), in the arena. */
int manager_related(Manager *m, const char *unit, const char *property, Arena *a, const char ***out,
                    size_t *n, Error *e);
/*
 * Restarts the unit if it runs, and waits until that is done: `result` is "done", "failed", "timeout",
 * "canceled", "dependency", "skipped", or "unfinished" when it was not done in time (the job goes on).
 */
int manager_restart(Manager *m, const char *unit, uint64_t timeout_usec, char result[MANAGER_WORD], Error *e);
/* Waits until no job is under way for the unit. -ETIME. */
int manager_settled(Manager *m, const char *unit, uint64_t timeout_usec, Error *e);
/* The unit's state after so long, or as soon as it is not active any more, or was started again. */
int manager_watch(Manager *m, const char *unit, uint64_t usec, UnitState *out, Error *e);
/* Runs a command as a unit `name` of its own, with `environment` ("KEY=VALUE"), outside of this process's
 * narrowed rights; waits for its end. `result` as of manager_restart. */
int manager_run(Manager *m, const char *name, const char *command, const char *environment,
                uint64_t timeout_usec, char result[MANAGER_WORD], Error *e);
/* As manager_run, of a program without arguments whose standard input and output are these descriptors. */
int manager_filter(Manager *m, const char *name, const char *program, int in, int out, uint64_t timeout_usec,
                   char result[MANAGER_WORD], Error *e);
/* Restarts the machine: through logind, so that inhibitors are respected, or systemd where there is none. */
int manager_reboot(Manager *m, Error *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/baseline.h"
#include "deliver/restart.h"

/*
 * Baselines around the restarts of a maintenance window: begun before the first, looked after when the last
 * is done. A rollback needs more rights than the agent has: it is `staunch rollback`, run by systemd as a
 * unit of its own.
 */
typedef struct BaselineWindow {
        const Policy *policy;
        const char *state;       /* folder */
        const char *config;      /* the policy's file */
        const char *events;      /* file, where there is no journal */
        const char *command;     /* the staunch program */
        int64_t id;              /* of the one that this turn has begun; 0: none */
        const RestartPlan *plan; /* of that */
        Manager *manager;        /* open while one is at work */
} BaselineWindow;

/* `w` must live as long as they are used. */
RestartHooks baseline_window_hooks(BaselineWindow *w);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/restart.h"

/* When what is pending will be restarted: the policy's windows, the state, and systemd's dependencies. */

#define STATE_DIR "/var/lib/staunch"

typedef struct Schedule {
        Policy policy;
        RestartPlan plan;
        int64_t now;       /* seconds since 1970 */
        const char *alone; /* why systemd could not be asked: the plan has no order; "": it could */
} Schedule;

/* `config` NULL: POLICY_FILE. */
int schedule_open(const char *config, Store *s, Schedule *out, Error *e);
void schedule_close(Schedule *s);
/* The step of this subject; NULL when it is not pending any more. */
const RestartStep *schedule_step(const Schedule *s, const char *subject);
/* The window that comes first of those that cover `subject` (NULL: of all); NULL: none. */
const Window *schedule_next(const Policy *p, int64_t now, const char *subject, WindowSpan *out);
/* "now (NAME)", "2026-12-08 22:00 CET (NAME)" on the window's clocks, "by hand", or "not by itself". */
const char *schedule_when(const Schedule *s, const char *subject, Arena *a);
/* A moment on a zone's clocks: "2026-12-08 22:00 +01:00". */
const char *schedule_time(const char *zone, int64_t moment, Arena *a);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/vec.h"
#include "deliver/about.h"
#include "deliver/baseline.h"
#include "report/event.h"
#include "store/store.h"

/* What the files of baseline.h have in common: baseline.c (the way forward, and what is written down of it),
 * baseline-back.c (the rollback). */

typedef struct BaselineUnit {
        const char *name;
        StoreStep forward, back; /* back.unit NULL: not begun */
} BaselineUnit;

/* One baseline at work. */
typedef struct BaselineWork {
        const Baseline *b;
        Store *store;
        int lock;
        Arena *arena;
        int64_t id;
        BaselineState state;
        const char *reason;
        VEC(BaselineUnit) units;
        ProbeNames unjudged; /* failed already when it began */
        About about;         /* packages and CVEs that it brings into force, for its events */
        unsigned boots;      /* since a reboot was to end the rollback: boots in which it was prepared */
        char boot[BASELINE_WORD], first_boot[BASELINE_WORD]; /* the last of them, and the first */
        bool prepared;                                       /* in the last of them, to its end */
} BaselineWork;

/* The state, with nobody else at work on a baseline; `id` 0: of none yet. */
int baseline_work_begin(BaselineWork *w, const Baseline *b, int64_t id, Error *e);
void baseline_work_end(BaselineWork *w);
int baseline_set(BaselineWork *w, BaselineState s, const char *reason, Error *e);
void baseline_tell(const BaselineWork *w, EventKind kind, const char *what, const char *detail);
/* A step that tests name: the process is killed here when it is asked for. */
void baseline_fault(const char *name);
/* Was the unit started anew since it was written down what ran? */
int baseline_restarted(BaselineWork *w, const BaselineUnit *u, const char *before, bool *out, Error *e);
/* Looks after the health of what was restarted for as long as the policy says. 0: all well; 1: not, and why.
 */
int baseline_watch(BaselineWork *w, bool only_restarted, Error *why, Error *e);

/* Is there a way back, and is all of it there? */
int baseline_check_way_back(BaselineWork *w, Error *e);
/* The rollback. BASELINE_WENT_BACK, BASELINE_REBOOTS, BASELINE_WENT_WRONG or an error. */
int baseline_go_back(BaselineWork *w, const char *reason, Error *e);
/* The same by a process that may do more: it needs the lock, and what is written down. */
int baseline_go_back_apart(BaselineWork *w, Error *e);
/* Goes on with a rollback that was cut off, or that a reboot was to end. */
int baseline_go_on_back(BaselineWork *w, Error *e);
/* Keeps apt from just the versions that are held. */
int baseline_write_hold_file(BaselineWork *w, Error *e);

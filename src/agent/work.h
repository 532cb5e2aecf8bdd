/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/beat.h"
#include "agent/peer.h"
#include "apply/engine.h"
#include "deliver/policy.h"
#include "report/metrics.h"
#include "store/store.h"

/*
 * The agent's work on processes, each piece done in a fork of the applier so that the loop stays awake: a
 * round, and taking a harmful patch out. Both write to the state and tell events themselves.
 */
typedef struct Work {
        const Policy *policy;
        const char *state;  /* folder */
        const char *lock;   /* file */
        const char *events; /* file, where there is no journal */
        const char *root;   /* only images below it; NULL: all */
        Peer *vault;
        Metrics *metrics; /* NULL: nothing is counted */
        Beat *beat;
        const Unresponsive *skip; /* left out */
        size_t n_skip;
        int notes_fd; /* what processes carry is written there: notes.h */
} Work;

/* Exit codes of a piece of work. */
enum {
        WORK_DONE = 0,
        WORK_FAILED = 1,
        WORK_NOTHING = 2, /* none of the processes that were looked at is outdated */
        WORK_AGAIN = 10,  /* some process could not be patched now, and may be in a moment */
};

/* As OutdatedOptions.enter; `work`: a Work. */
bool work_enter(void *work, const Process *p);
/* Opens the state; tells when what was there was lost. */
int work_open_state(const Work *w, Store **out, Error *e);
/* Converges: the processes of `pids` only, or (n == 0) all. */
int work_round(const Work *w, const pid_t *pids, size_t n, Error *e);
/* Puts the patch's pair of builds into quarantine (NULL: none), and takes what is in quarantine out of every
 * process that still has it. `reason` is one line. WORK_AGAIN: a process could not be patched back now. */
int work_quarantine(const Work *w, const ProcessPatch *patch, const char *reason, Error *e);

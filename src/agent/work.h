/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/beat.h"
#include "agent/peer.h"
#include "apply/engine.h"
#include "deliver/policy.h"
#include "evidence/step.h"
#include "report/metrics.h"
#include "store/store.h"

/*
 * The agent's work on processes, each piece done in a fork of the applier so that the loop stays awake: a
 * round, and taking a harmful patch out. Both write to the state and tell events themselves.
 */
/* A patch that does harm, and why, in one line. */
typedef struct Harm {
        ProcessPatch patch;
        char reason[256];
} Harm;

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
        const Harm *harms; /* that are not known to be in the state yet */
        size_t n_harms;
        int notes_fd; /* what processes carry is written there: notes.h */
        int fixes_fd; /* what of it is not in `known`: fixes.h */
        Steps *known;
} Work;

/* Exit codes of a piece of work. */
enum {
        WORK_DONE = 0,
        WORK_FAILED = 1,
        WORK_NOTHING = 2, /* none of the processes that were looked at is outdated */
        WORK_AGAIN = 10,  /* some process could not be patched now, and may be in a moment */
};

/* When so many processes of one unit are left out, all of it is: one after the other would take hours. */
enum { WORK_UNIT_SKIP = 2 };
/* As OutdatedOptions.enter; `work`: a Work. */
bool work_enter(void *work, const Process *p);
/* Opens the state; tells when what was there was lost. */
int work_open_state(const Work *w, Store **out, Error *e);
/* Converges: the processes of `pids` only, or (n == 0) all. */
int work_round(const Work *w, const pid_t *pids, size_t n, Error *e);
/* Puts the harms' pairs of builds into quarantine, and takes what is in quarantine out of every process that
 * still has it: also when the state can't be written, and then it fails afterwards. WORK_AGAIN: a process
 * could not be patched back now. */
int work_quarantine(const Work *w, Error *e);

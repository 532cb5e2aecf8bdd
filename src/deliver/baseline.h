/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/about.h"
#include "deliver/policy.h"
#include "deliver/probed.h"
#include "store/baseline.h"
#include "store/change.h"

#include <limits.h>

/*
 * A baseline: the restarts that bring an update into force, the proof that all is well afterwards, and the
 * way back. docs/baseline.md has the states and what a power cut leaves. Whoever restarts calls
 * baseline_begin() before and baseline_settle() after; everything is written down before it is done, so that
 * baseline_resume() can go on.
 */
typedef enum BaselineState {
        BASELINE_PLANNED,
        BASELINE_SNAPSHOT,
        BASELINE_RESTARTING,
        BASELINE_SETTLING,
        BASELINE_DONE,
        BASELINE_ROLLING_BACK,
        BASELINE_REBOOTING,
        BASELINE_ROLLED_BACK,
        BASELINE_FAILED,
        BASELINE_ROLLBACK_FAILED,
        BASELINE_CANCELLED,
        BASELINE_STATES
} BaselineState;

const char *baseline_state_text(BaselineState s);
BaselineState baseline_state(const char *text); /* BASELINE_STATES: no such */

/* Positive outcomes. */
enum {
        BASELINE_IS_HELD = 1,    /* begin: a version that was rolled back would come into force */
        BASELINE_REFUSED = 2,    /* begin: there is no way back, and the policy wants one */
        BASELINE_WENT_BACK = 3,  /* settle, resume: it was rolled back */
        BASELINE_WENT_WRONG = 4, /* settle, resume, rollback: failed, or rollback-failed; the text says why */
        BASELINE_REBOOTS = 5,    /* settle, resume, rollback: in force after a reboot; the caller's matter */
};

enum { BASELINE_WORD = 64 };

/* What the machine does for a baseline. */
typedef struct BaselineOps {
        void *data;
        /* Something that is another one after each start of the unit; "" when it never was started. */
        int (*invocation)(void *data, const char *unit, char out[BASELINE_WORD], Error *e);
        int (*restart)(void *data, const char *unit, Error *e);
        /* 0: well; 1: not yet; 2: not, and waiting will not help. `why` says what is wrong. */
        int (*healthy)(void *data, const char *unit, Error *why);
        /* The unit is well; does it do what it is there for? As `healthy`, and waits as long as the unit may
         * take to start. `but`: probes that say nothing, since they did not pass before. "machine": all that
         * there are. */
        int (*answers)(void *data, const char *unit, const ProbeNames *but, Error *why);
        /* Adds those probes that do not pass now, of the unit and of what is restarted with it. */
        void (*failing)(void *data, const char *unit, ProbeNames *out);
        /* Not 0: this process is to end, and another one goes on later. */
        int (*wait)(void *data, uint64_t usec);
        int (*boot)(void *data, char out[BASELINE_WORD], Error *e); /* another one after each boot */
        /* Rolls back by a process that may do more than this one, and waits for it; the state says how it
         * ended. NULL: this one may. */
        int (*apart)(void *data, int64_t id, Error *e);
} BaselineOps;

typedef struct Baseline {
        const Policy *policy;
        const char *state;     /* folder */
        const char *root;      /* "/" */
        const char *events;    /* file, where there is no journal */
        const char *hold_file; /* of apt's preferences */
        const BaselineOps *ops;
} Baseline;

#define BASELINE_HOLD_FILE "/etc/apt/preferences.d/staunch-held"

/* Before the first restart; probes that fail then are not judged by later. *id: the new baseline's number. */
int baseline_begin(const Baseline *b, const char *const *units, size_t n, int64_t *id, Error *e);
/* The probes that failed already when it began; strings are the arena's, and the caller frees `out`. */
int baseline_unjudged(const char *state, int64_t id, Arena *arena, ProbeNames *out, Error *e);
/* Packages and CVEs that it brings into force, or takes back; in the arena. */
int baseline_about(const char *state, int64_t id, Arena *arena, About *out, Error *e);
/* After the last. `failed` (may be NULL): a restart did not succeed; its text says which. Looks after health,
 * and goes back where it is bad. */
int baseline_settle(const Baseline *b, int64_t id, const Error *failed, Error *e);
/* Goes on with one that was cut off; 0 when there is none, too. */
int baseline_resume(const Baseline *b, Error *e);
/* Back to what was before, also by hand; from every state in which something can have been restarted. */
int baseline_rollback(const Baseline *b, int64_t id, const char *reason, Error *e);
/* Its versions may be tried again. *n: how many were held. */
int baseline_release(const Baseline *b, int64_t id, unsigned *n, Error *e);

/* The unfinished one's steps, for tests: the process is killed at the named one. NULL at the end. */
extern const char *const baseline_fault_names[];
void baseline_fault_set(const char *name);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/store.h"

/* Baselines, the journal of their steps, and the versions that are held. docs/baseline.md. */

typedef struct StoreBaseline {
        int64_t id; /* counts up */
        uint64_t since_usec, changed_usec;
        const char *state; /* src/deliver/baseline.h */
        const char *reason;
} StoreBaseline;

/* One unit's restart. `phase` "forward" or "back". */
typedef struct StoreStep {
        int64_t baseline;
        const char *phase;
        unsigned position; /* from 0, in the order in which they are done */
        const char *unit;
        const char *before; /* the unit's invocation before it was restarted; "": not begun */
        bool done;
} StoreStep;

/* Its row and its forward steps, in one transaction; refused (-EBUSY) while another one is unfinished. */
int store_add_baseline(Store *s, uint64_t time_usec, const char *const *units, size_t n, int64_t *id,
                       Error *e);
int store_set_baseline(Store *s, int64_t id, const char *state, const char *reason, uint64_t time_usec,
                       Error *e);
/* The change comes into force by this baseline. */
int store_take_change(Store *s, int64_t baseline, int64_t change, Error *e);
/* Its changes come into force by another one. */
int store_release_changes(Store *s, int64_t baseline, Error *e);
/* Oldest first. */
int store_each_baseline(Store *s, void (*each)(void *data, const StoreBaseline *b), void *data, Error *e);
/* The unfinished one's number, 0 when there is none. */
int store_unfinished(Store *s, int64_t *id, Error *e);

/* Writes how far it is; a step that is not there yet is added. */
int store_put_step(Store *s, const StoreStep *p, Error *e);
int store_each_step(Store *s, int64_t baseline, void (*each)(void *data, const StoreStep *p), void *data,
                    Error *e);

typedef struct StoreHeld {
        const char *name, *arch, *version;
        int64_t baseline;
        const char *reason;
        uint64_t since_usec;
} StoreHeld;

/* Holds every new version of the baseline's changes. */
int store_hold(Store *s, int64_t baseline, const char *reason, uint64_t time_usec, Error *e);
/* *n: how many versions are free again. */
int store_unhold(Store *s, int64_t baseline, unsigned *n, Error *e);
int store_each_held(Store *s, void (*each)(void *data, const StoreHeld *h), void *data, Error *e);

/* A copy of the whole state, in a new file. */
int store_copy(Store *s, const char *path, Error *e);

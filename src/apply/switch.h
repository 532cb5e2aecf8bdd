/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/edit.h"
#include "apply/header.h"
#include "apply/safe.h"
#include "proc/loaded.h"

/* The stop, the safe point and the switch: common to apply, revert, replace and repair. */

typedef struct Mark { /* a header whose state changes with the switch */
        uint64_t at;  /* its address */
        Header from;  /* state, op, txn, self: as they are now */
        HeaderOp op;  /* while it happens */
        PatchState to;
        uint64_t time_sec; /* from then on it is in force; 0: that stays as it is */
} Mark;

typedef struct Switch {
        pid_t pid;
        int mem_fd; /* of the session */
        Edits edits;
        SafeSet safe;
        Mark *marks;
        size_t n_marks;
        uint64_t txn;
        const char *(*owner_name)(const struct Switch *s, uint32_t owner);
        const void *owners;
        const Maps *maps; /* for unwinding */
        const Loaded *loaded;
        size_t n_loaded;
} Switch;

/* Tries until it is done or the deadline (now_usec) has passed. 0; ENGINE_REFUSED with the reason in
 * *res; negative errno, with nothing changed. The counters of *res are kept in every case. */
int switch_run(Switch *s, const EngineOptions *options, EngineResult *res, Error *e);
void switch_free(Switch *s);

/* Sets the reason and returns ENGINE_REFUSED. */
int refuse(EngineResult *res, RefusalCode code, const char *subject, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

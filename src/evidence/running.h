/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"
#include "evidence/builds.h"

/* What runs: every image of every process with the version it is of, and what patches made of it. */

typedef struct RunningImage {
        const Process *process;
        const char *path;  /* as the process maps it */
        const Build *run;  /* the process was started with it, or loaded it */
        const Build *disk; /* what is at its path now; == run when it is that; NULL: nothing */
        const Build
                *effective; /* whose code runs: of its patch, when one is active and whole; NULL: unknown */
        bool patched;       /* an active patch, whole */
        bool damaged;       /* a patch that is not */
        ProcessPatch patch; /* when patched or damaged */
        uint8_t code_sha256[32]; /* when read_back: engine_read_back() of the patch */
        bool has_code;
} RunningImage;

typedef struct Running {
        Builds builds;
        RunningImage *images; /* by process, as the process maps them */
        size_t n, room;
        size_t looked_at, hidden; /* processes; hidden: for want of privileges */
        size_t elsewhere;         /* images that lie in another root folder: not looked at */
} Running;

typedef struct RunningOptions {
        const pid_t *pids;
        size_t n_pids;     /* 0: all processes */
        const char *root;  /* only images below it, and the package manager there; NULL: "/" */
        const char *state; /* the agent's folder; one without a state is passed over */
        bool read_back;    /* fill in code_sha256 */
        void (*progress)(const char *format, ...) __attribute__((format(printf, 1, 2))); /* NULL: silent */
} RunningOptions;

int running_read(const RunningOptions *o, Running *out, Error *e);
void running_free(Running *r);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/compare.h"
#include "deliver/policy.h"
#include "evidence/exposure.h"
#include "evidence/upgrades.h"

/* What an upgrade would do to what runs: each image of the package in a process against the one in the .deb.
 */

typedef enum AssessOutcome {
        ASSESS_UNCHANGED, /* no code differs */
        ASSESS_HOTPATCH,
        ASSESS_UNKNOWN, /* the package is not at hand, or could not be compared */
        ASSESS_RESTART,
} AssessOutcome;
const char *assess_outcome_text(AssessOutcome o);

/* One build that runs, against the upgrade. */
typedef struct AssessedPair {
        const Build *run;
        BuildId new_id;
        AssessOutcome outcome;
        bool compared; /* the verdict is there */
        Comparison comparison;
        const char *why; /* unknown; "" otherwise */
        const RunningImage **images;
        size_t n;
} AssessedPair;

typedef struct Assessed {
        const char *name, *arch, *new;
        const Package *installed; /* NULL: it is not */
        const char *file;         /* NULL: not at hand */
        const char *why;          /* not at hand; "" otherwise */
        const char **cves;        /* that it fixes, as its changelog or the tracker says */
        size_t n_cves;
        bool cves_known; /* there was something that would tell */
        AssessedPair *pairs;
        size_t n;
        AssessOutcome outcome; /* the worst */
} Assessed;

typedef struct AssessOptions {
        const Policy *policy;
        const bool *accepted;  /* besides what the policy accepts; by RefusalCode */
        const char *root;      /* NULL: "/" */
        const char *cache;     /* folder of src/deliver/cache.h; NULL: none */
        const char *downloads; /* folder for what apt downloads; NULL: nothing is downloaded */
        void (*progress)(const char *format, ...) __attribute__((format(printf, 1, 2)));
} AssessOptions;

/* An upgrade that apt has. Strings and pairs belong to the exposure's arena. */
int assess_upgrade(Exposure *x, const Upgrade *u, const AssessOptions *o, Assessed *out, Error *e);
/* A .deb at hand. */
int assess_file(Exposure *x, const char *path, const AssessOptions *o, Assessed *out, Error *e);
void assessed_free(Assessed *a);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"
#include "deliver/compare.h"
#include "deliver/outdated.h"
#include "patch/digest.h"

/*
 * Moves what is outdated to the builds on disk: each distinct pair is compared once, then applied. Where the
 * build on disk is the one that the process was started with, its patch is taken out.
 */

/* What both files of a pair hold, read once: what is compared is what the digests are of. */
typedef struct PairBytes {
        FileBytes old, new;
        uint8_t old_digest[DIGEST_SIZE], new_digest[DIGEST_SIZE];
} PairBytes;

typedef struct ConvergeOptions {
        OutdatedOptions find;
        bool dry_run, no_debug;
        const bool *accepted; /* by RefusalCode */
        /* Is a patch of the image at `path` to be taken out although its way back is not proved? NULL: as
         * `accepted` says. */
        bool (*reverts_unproved)(void *data, const char *path);
        /* What harm this patch has done, which a process keeps all the same; NULL: none. NULL: none has. */
        const char *(*harm)(void *data, const ProcessPatch *patch);
        void *patch_data;       /* of both */
        uint64_t deadline_usec; /* for a safe point, each process; 0: the engine's default */
        /* Told before the patch of an image is put into the process, or (`reverts`) taken out. NULL: nobody
         * is. */
        void (*begins)(void *data, const Process *p, bool reverts, const char *image, const BuildId *old_id,
                       const BuildId *new_id, const uint8_t digest[DIGEST_SIZE]);
        void *begins_data;
        /* Compares a pair elsewhere (in another process); may release `bytes`. NULL: converge_compare(). */
        int (*compare)(void *data, const OutdatedPair *pair, PairBytes *bytes,
                       const struct ConvergeOptions *o, Comparison *out, Error *e);
        void *compare_data;
        /* Is this process one of those whose pairs are compared before all others? NULL: none is. */
        bool (*urgent)(void *data, const Process *p);
        void *urgent_data;
} ConvergeOptions;

typedef enum ImageOutcome {
        IMAGE_PATCHED,
        IMAGE_WOULD_PATCH,
        IMAGE_REVERTED, /* it runs its base again, which is what is on disk */
        IMAGE_WOULD_REVERT,
        IMAGE_RESTART,
        IMAGE_CURRENT,
        IMAGE_ERROR
} ImageOutcome;

typedef struct ConvergedImage {
        const OutdatedImage *image;
        ImageOutcome outcome;
        size_t functions;
        uint64_t pause_usec;
        const Verdict *verdict; /* of the pair, when that is why it needs a restart, or advice; may be NULL */
        RefusalCode refusal;    /* of the process; REFUSAL_N: none */
        const char *subject, *detail, *error;
        bool carries;         /* a patch of its base was in force when it was looked at: */
        ProcessPatch carried; /* of several copies of the image, the last one's */
} ConvergedImage;

typedef struct ConvergedProcess {
        const OutdatedProcess *of;
        ConvergedImage *images; /* of->n */
        bool gone;              /* it ended meanwhile */
        bool applied;           /* result is that of an engine call */
        EngineResult result;
} ConvergedProcess;

typedef struct ConvergedPair {
        bool wanted; /* some process does not carry its patch yet; otherwise it is not compared */
        bool urgent, compared;
        uint8_t old_digest[DIGEST_SIZE], new_digest[DIGEST_SIZE]; /* of wanted ones: what the files hold */
        Comparison comparison;
        Error error; /* code != 0: the pair could not be compared */
        const char
                *package; /* of dpkg, below the root that is looked at; "": none, NULL: not asked for yet */
} ConvergedPair;

typedef struct Converged {
        Outdated outdated;
        ConvergedPair *pairs;                                                    /* outdated.n_pairs */
        ConvergedProcess *processes;                                             /* outdated.n_processes */
        size_t patched, reverted, restart, errors, current, would, would_revert; /* processes */
} Converged;

/* Reasons of a process that may be gone at the next try. */
bool converge_is_passing(RefusalCode code);
/* Is (or was) its patch to be taken out, whether or not that worked? */
bool converge_reverts(const ConvergedImage *image);
int converge_run(const ConvergeOptions *o, Converged *out, Error *e);
/* Compares both images of the pair in this process; takes what they hold over. */
int converge_compare(const OutdatedPair *pair, PairBytes *bytes, const ConvergeOptions *o, Comparison *out,
                     Error *e);
void converge_free(Converged *c);

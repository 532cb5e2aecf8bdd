/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/converge.h"
#include "deliver/policy.h"

/*
 * One round of the agent: converge under the policy, with every pair compared once a machine. The caller is
 * told what happened as it happens, and keeps it.
 */
typedef struct RoundOptions {
        const Policy *policy;
        const pid_t *pids; /* only these; those that have ended are passed over */
        size_t n_pids;     /* 0: all */
        const char *root;  /* only images below it; NULL: all */
        const char *cache; /* folder of src/deliver/cache.h; NULL: none */
        /* Asked first, for each pair: may say what the verdict is without any comparison. NULL: never. */
        bool (*known)(void *data, const OutdatedPair *pair, Comparison *out);
        /* As ConvergeOptions.compare, for what is not in the cache. NULL: in this process. */
        int (*compare)(void *data, const OutdatedPair *pair, PairBytes *bytes, const bool *accepted,
                       Comparison *out, Error *e);
        void *compare_data; /* of both */
        /* As ConvergeOptions.urgent; of `enter_data`. */
        bool (*urgent)(void *data, const Process *p);
        /* As OutdatedOptions.enter. */
        bool (*enter)(void *data, const Process *p);
        void *enter_data;
        /* As OutdatedOptions.current. NULL: nobody is told. */
        void (*current)(void *data, const Process *p, const char *path, int fd);
        void *current_data;
        /* As OutdatedOptions.carries: before the round changes anything. NULL: nobody is told. */
        void (*carries)(void *data, const Process *p, const ProcessPatch *patches, size_t n);
        void *carries_data;
        /* As ConvergeOptions.begins. NULL: nobody is told. */
        void (*begins)(void *data, const Process *p, bool reverts, const char *image, const BuildId *old_id,
                       const BuildId *new_id, const uint8_t digest[DIGEST_SIZE]);
        void *begins_data;
        /* As ConvergeOptions.harm; of `compare_data`. */
        const char *(*harm)(void *data, const ProcessPatch *patch);
} RoundOptions;

/* Only one of the machine's programs changes processes at a time: a lock on a file, taken while a round runs.
 * A descriptor that holds the lock, with who has it in the file; waits for it. Closing it lets go.
 */
int round_lock(const char *path, Error *e);

/* Who holds the lock, by its own word. */
typedef struct RoundHolder {
        pid_t pid; /* 0: held, and not known by whom (it is only just taken, or by an older version) */
        uint64_t begun_usec; /* CLOCK_REALTIME; 0 with pid 0 */
} RoundHolder;
/* 1: held, and *out; 0: nobody does, or there is no such file. -EACCES: it is root's. */
int round_holder(const char *path, RoundHolder *out, Error *e);

/* Does the policy accept that a patch of the image at `path` is taken out although its way back is not
 * proved? */
bool round_reverts_unproved(const Policy *policy, const char *path);
int round_run(const RoundOptions *o, Converged *out, Error *e);

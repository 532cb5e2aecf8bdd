/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/refusal.h"
#include "patch/patch.h"
#include "proc/maps.h"

#include <sys/types.h>

/*
 * The engine: puts a patch into a running process, takes it out, asks processes what they run.
 * Every call works on one address space: all processes that share the memory (CLONE_VM) are stopped
 * together. docs/safety.md holds the numbered claims.
 *
 * Positive outcome of apply, revert and verify: ENGINE_REFUSED; the reason is in result->refusal.
 */
enum { ENGINE_REFUSED = 1 };

typedef struct EngineOptions {
        uint64_t deadline_usec; /* for reaching a safe point; default 5 s when 0 */
        uint64_t retry_usec;    /* first pause between tries, doubles up to 100 ms; 0: 1 ms */
        bool no_sharing;        /* do not try to share read-only pages between processes */
        bool unproved;          /* revert: also what is not WAY_BACK_PROVED, which is refused otherwise */
} EngineOptions;

typedef struct EngineResult {
        RefusalCode refusal; /* REFUSAL_N when not refused */
        char subject[128];   /* function, thread, symbol */
        char detail[320];
        uint64_t pause_usec;       /* of the last stop: first thread stopped to last resumed */
        uint64_t pause_total_usec; /* of all tries */
        uint64_t stage_usec;
        uint32_t attempts, threads, functions;
        uint64_t private_bytes, shared_bytes; /* memory that the patch added */
        uint32_t instances;                   /* copies of the image that were patched (dlmopen: several) */
} EngineResult;

/* Applies all patches to the process, all or nothing; never to process 1 (process-init). A patch whose image
 * already carries an older patch of the same base replaces it in one step. */
int engine_apply(pid_t pid, const Patch *const *patches, size_t n_patches, const EngineOptions *options,
                 EngineResult *result, Error *e);
/* The same in two halves: what is done between them is done while the process is worked on. The caller keeps
 * the patches until then; no other call of the engine may change a process between them. */
typedef struct EngineCall EngineCall;
int engine_apply_begin(EngineCall **out, pid_t pid, const Patch *const *patches, size_t n_patches,
                       const EngineOptions *options, Error *e);
int engine_apply_finish(EngineCall *c, EngineResult *result, Error *e);
/* Takes out the patch with that digest (NULL: every patch, all or nothing). The old code runs again;
 * variables that the patch added and read-only code that a thread might still hold an address of stay mapped.
 */
int engine_revert(pid_t pid, const uint8_t digest[32], const EngineOptions *options, EngineResult *result,
                  Error *e);

typedef enum PatchState {
        PATCH_STATE_STAGED = 1, /* in memory, nothing leads to it */
        PATCH_STATE_SWITCHING,  /* an apply or revert was interrupted */
        PATCH_STATE_ACTIVE,
        PATCH_STATE_REVERTED,
} PatchState;

/* May old code run on what the patch's code made? docs/safety.md, claim 37. */
typedef enum WayBack {
        WAY_BACK_UNKNOWN, /* put in by a program that did not ask */
        WAY_BACK_PROVED,
        WAY_BACK_UNPROVED,
} WayBack;
enum { WAY_BACK_WHY = 128 }; /* bytes of a reason, with the NUL */

/* What one process says of itself. */
typedef struct ProcessPatch {
        uint8_t digest[32];
        BuildId old_id, new_id;
        char name[64];
        WayBack way_back;
        char way_back_why[WAY_BACK_WHY]; /* one reason; "": none, or not known */
        bool startup_only;               /* some changed code had run already, and does not run again */
        PatchState state;
        uint64_t image_base;          /* address = image_base + vaddr of the old image */
        uint64_t shadow_base;         /* address = shadow_base + new vaddr */
        uint64_t low, high;           /* addresses that the patch's own code and data lie in */
        uint32_t sites, sites_intact; /* replaced functions and pointers; how many read back as written */
        uint64_t time_sec;            /* when applied, last; CLOCK_REALTIME */
} ProcessPatch;

/* Reads the patches of a process from its memory. *out is malloc'ed; the caller frees. 0 with *n ==
 * 0 when it has none. No thread is stopped. -ESRCH when the process is gone. */
int engine_status(pid_t pid, ProcessPatch **out, size_t *n, Error *e);
/* The same, for who has read its maps just now. */
int engine_status_at(pid_t pid, const Maps *maps, ProcessPatch **out, size_t *n, Error *e);
/*
 * The SHA-256 of the patch's code as it lies in the process now: of each carried function its address
 * (header, 8 bytes), size (8) and bytes, then of each replaced function the address of its jump, size (1)
 * and bytes. Addresses are link-time ones, numbers little-endian. Processes with the same patch at the same
 * distance from the image have the same. -ENOENT: the process has no such patch.
 */
int engine_read_back(pid_t pid, const uint8_t digest[32], uint8_t sha256[32], Error *e);

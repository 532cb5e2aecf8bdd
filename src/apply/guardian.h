/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"

/*
 * The process that traces: a child in a session of its own that ignores signals, so that the end of
 * the program that asked (Ctrl-C, SIGKILL, a crash) does not interrupt a switch. It serves requests
 * until the other end of its socket closes.
 */
typedef enum GuardianOp { GUARDIAN_APPLY, GUARDIAN_REVERT, GUARDIAN_REPAIR } GuardianOp;

typedef struct GuardianRequest {
        GuardianOp op;
        pid_t pid;
        bool has_digest, has_options;
        uint8_t digest[32];
        EngineOptions options;
} GuardianRequest;

/* One that is under way. */
typedef struct GuardianCall {
        GuardianRequest request;
        const Patch *const *patches; /* of the caller, until it is finished */
        size_t n;
        int started, asked;
        uint64_t asked_usec; /* now_usec() */
        Error error;         /* when it could not be started */
} GuardianCall;

/* How much longer than its deadlines a guardian is waited for. */
extern uint64_t guardian_patience_usec;
/* Starts a guardian when there is none that knows the patches. Until it is finished, by the same thread, all
 * other calls wait. */
void guardian_begin(GuardianCall *call, const GuardianRequest *request, const Patch *const *patches,
                    size_t n);
/* Positive outcome ENGINE_REFUSED. -ETIMEDOUT: the guardian is blocked in the process, and was left to
 * itself. */
int guardian_finish(GuardianCall *call, EngineResult *res, Error *e);
/* Ends the guardian, if any: so that a fault set now is known to the next one. */
void guardian_end(void);

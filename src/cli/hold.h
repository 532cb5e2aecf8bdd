/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"
#include "proc/list.h"
#include "store/store.h"

/*
 * What is taken out by hand stays out: an agent that patches by itself would apply it again at its next
 * round. The pair of builds is written to the agent's state before the process is touched, until `staunch
 * release`.
 */
typedef struct Hold {
        Store *store;    /* NULL: there is no agent's state, or it can't be written */
        bool failed;     /* it can't; that was said */
        char digest[17]; /* of one that is held; "" for none */
        size_t n;
} Hold;

/* `state`: folder. To take a patch out is more urgent than to hold it: what fails is said and gone past. */
void hold_open(Hold *h, const char *state);
void hold_close(Hold *h);
void hold_patch(Hold *h, const ProcessPatch *patch);
/* Into the history, what the engine returned and said. */
void hold_record(Hold *h, const Process *p, const ProcessPatch *patch, int returned,
                 const EngineResult *result);
/* Says what is held, and how it is let go. */
void hold_say(const Hold *h);

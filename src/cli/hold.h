/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/recording.h"

/*
 * What is taken out by hand stays out: an agent that patches by itself would apply it again at its next
 * round. The pair of builds is written to the agent's state before the process is touched, until `staunch
 * release`.
 */
typedef struct Hold {
        Store *store; /* NULL: there is no agent's state, or it can't be written, or nothing is to be held */
        bool failed;  /* it can't; that was said */
        char digest[17]; /* of one that is held; "" for none */
        size_t n;
} Hold;

/* To take a patch out is more urgent than to hold it: what fails is said and gone past. */
void hold_open(Hold *h, const Recording *recording);
void hold_patch(Hold *h, const ProcessPatch *patch);
/* Says what is held, and how it is let go. */
void hold_say(const Hold *h);

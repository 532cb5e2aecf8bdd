/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/policy.h"
#include "report/event.h"

/* The applier's loop: see docs/agent.md. */
typedef struct AgentOptions {
        const char *config, *state, *runtime, *events;
        const char *root; /* only images below it; NULL: all */
} AgentOptions;

/* Runs until it is told to end. */
int agent_run(const AgentOptions *o, Error *e);

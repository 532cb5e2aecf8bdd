/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * Programs that are told of events: [[hook]] in the policy. They are run by a process of their own, so that
 * they hold nobody up and inherit nothing of what the applier may do. It is sent every event that the
 * agent's processes emit, and reads the policy by itself.
 */
enum {
        HOOKS_RUNNING = 4, /* at once, of all hooks */
        HOOKS_QUEUE = 256, /* events that wait, of all hooks; beyond they are dropped */
        HOOKS_PERIOD_SEC = 10,
        HOOKS_PER_PERIOD = 20,  /* starts of one hook; beyond, events are dropped for it */
        HOOKS_FAREWELL_SEC = 5, /* how long the agent's end waits for them */
};

typedef struct Hooks {
        pid_t pid; /* 0: none */
        int channel;
} Hooks;

/* Before the sandbox, with the signals blocked that the caller handles. From then on, what is emitted goes to
 * them as well. */
int hooks_start(Hooks *h, const char *config, const char *events, Error *e);
/* Has it ended? Told once. */
bool hooks_ended(Hooks *h);
/* Nothing more comes: lets it run what waits, for HOOKS_FAREWELL_SEC; what takes longer goes on without the
 * agent. */
void hooks_stop(Hooks *h);

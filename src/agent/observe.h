/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/network.h"
#include "apply/engine.h"
#include "deliver/policy.h"
#include "proc/list.h"
#include "report/event.h"

#include <jansson.h>

/*
 * Watches how services do before and after their patches: measures, keeps the performance baseline, judges,
 * and says which patch did harm. What is observed follows from the processes: each says which patch it
 * carries and since when, so that an agent that was started again goes on where the last one stopped.
 */
typedef struct Observer Observer;

typedef struct ObserverOwner {
        /* The patch did harm and is to be taken out; `reason` is one line. */
        void (*harm)(void *data, const ProcessPatch *patch, const char *reason);
        void (*event)(void *data, EventKind kind, const EventField *fields, size_t n, const char *message);
} ObserverOwner;

/* `state`: the folder; what it remembers is loaded. `net` may end and begin as it likes. */
int observer_new(sd_event *loop, Network *net, const char *state, const ObserverOwner *owner, void *data,
                 Observer **out, Error *e);
/* Writes what is not in the state yet. Accepts NULL. */
void observer_free(Observer *o);
/* A policy comes into force; it must stay until the next call. */
void observer_policy(Observer *o, const Policy *policy);
/* What a process carries now: those of the patches that are active. */
void observer_note(Observer *o, const Process *p, const ProcessPatch *patches, size_t n);
/* It ended with this exit code; 0 also when a signal ended it. */
void observer_ended(Observer *o, pid_t pid, int code);
/* Net's answer to a probe; net ended. */
void observer_answer(Observer *o, unsigned id, uint64_t usec, const char *failed);
void observer_lost(Observer *o);

/* docs/json.md: health. A new reference. */
json_t *observer_health(const Observer *o);

/* A probe as it did last. */
typedef struct ProbeFigures {
        const Probe *probe;
        bool good;
        double sec; /* that the last one took */
        uint64_t runs, failures;
} ProbeFigures;
/* The i-th that has run at least once; false: there are no more. */
bool observer_probe(const Observer *o, size_t i, ProbeFigures *out);
/* How many patches of units are observed now. */
size_t observer_observed(const Observer *o);

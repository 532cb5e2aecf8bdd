/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/agent.h"
#include "agent/peer.h"
#include "agent/witness.h"
#include "apply/engine.h"
#include "deliver/policy.h"
#include "evidence/step.h"
#include "proc/list.h"
#include "report/event.h"
#include "report/metrics.h"

#include <jansson.h>
#include <systemd/sd-event.h>

/*
 * When the agent's work on processes is done: one piece at a time, in a fork that is ended when it does not
 * get on with one process. The most urgent first: a patch that does harm, a full round, processes that have
 * just started.
 */
typedef struct Jobs Jobs;

typedef struct JobsOf { /* all outlive the jobs */
        sd_event *loop;
        const AgentOptions *agent;
        const Policy *policy;
        Peer *vault;
        Metrics *metrics;
        const char *lock; /* file: round_lock() */
        Steps *known;     /* what patches fix: what pieces of work find is added */
} JobsOf;

typedef struct JobsOwner {
        /* Before a fork and after its end: starts helpers again that have ended. */
        void (*look_after)(void *data);
        /* Does somebody wait for a full round, so that one is made whatever the policy's mode? */
        bool (*asked)(void *data);
        void (*round_begins)(void *data);
        void (*round_ended)(void *data, int code); /* WORK_*; negative: a signal ended it */
        /* What a process carries, as a piece of work saw it. */
        void (*noted)(void *data, const Process *p, Witness w, const ProcessPatch *patches, size_t n);
        void (*event)(void *data, EventKind kind, const EventField *fields, size_t n, const char *message);
} JobsOwner;

Jobs *jobs_new(const JobsOf *of, const JobsOwner *owner, void *data);
/* Waits for the piece of work that runs: it must not end in the middle. The loop must not run any more. */
void jobs_wait(Jobs *j);
Jobs *jobs_free(Jobs *j); /* accepts NULL; returns NULL */

/* Everything is looked at, now and from now on every scan_interval. */
void jobs_begin(Jobs *j);
void jobs_scan_from_now(Jobs *j);
/* A full round when packages are at rest: in so many microseconds, later than was said before (in) or not
 * (by: for what anybody can cause again and again). */
void jobs_round_in(Jobs *j, uint64_t usec);
void jobs_round_by(Jobs *j, uint64_t usec);
/* A full round with the next jobs_start(). */
void jobs_want_round(Jobs *j);
/* Starts what is due, unless a piece of work runs. */
void jobs_start(Jobs *j);
/* A process executed something: it is looked at soon, unless it ended before. False: too many wait. */
bool jobs_started(Jobs *j, pid_t pid);
void jobs_ended(Jobs *j, pid_t pid);
/* A patch does harm: it is taken out, and put into quarantine. `reason`: one line. */
void jobs_harm(Jobs *j, const ProcessPatch *patch, const char *reason);

bool jobs_busy(const Jobs *j);
uint64_t jobs_rounds(const Jobs *j); /* full ones that ended */
/* The piece of work that runs now, for the control socket (docs/agent.md); a new reference, null when none
 * does. */
json_t *jobs_running(const Jobs *j);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "deliver/manager.h"
#include "deliver/policy.h"

/*
 * Whether a unit that was restarted answers its probes ([[probe]]). Each is tried again until it passes, for
 * as long as the unit may take to start. They are made by staunch-probe, which narrows itself for each; who
 * asks need not be able to do anything that a probe can.
 */

/* Probes, each by its unit and its name. */
typedef struct ProbeName {
        const char *unit, *name;
} ProbeName;
typedef VEC(ProbeName) ProbeNames;

/* Has the policy a probe of this unit? */
bool probed_has(const Policy *p, const char *unit);
/* The longest that the answer may take; 0 without probes. `start_max_usec`: the unit's limit for its start; 0
 * or beyond [restart] timeout: that one. */
uint64_t probed_need_usec(const Policy *p, const char *unit, uint64_t start_max_usec);
/* Calls `ask` for the unit, or, where `unit` is "machine", for each service that has a probe, and ends with
 * what it said when that is not 0; `e` then names the service. */
int probed_each(const Policy *p, const char *unit, int (*ask)(void *data, const char *unit, Error *e),
                void *data, Error *e);
/*
 * 0: all pass, or there are none. 1: one does not; `why` says which, and what is wrong. Negative: they could
 * not be made. `m`: it is made by systemd, for who is narrowed himself; NULL: by a child of this process.
 * `but`: these are not asked.
 */
int probed_ask(const Policy *p, Manager *m, const char *unit, uint64_t start_max_usec, const ProbeNames *but,
               Error *why);
/* Tries each probe of the unit once, and adds those that do not pass to `out`: all, when they could not be
 * made. Strings are the policy's. */
void probed_failing(const Policy *p, Manager *m, const char *unit, ProbeNames *out);

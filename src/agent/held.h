/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "deliver/converge.h"
#include "deliver/policy.h"

/*
 * A package's scripts restart its service at the end of an upgrade, before anything could be patched. Where
 * the policy says so (package_restarts = "hold"), the agent's policy-rc.d answers them with no, and notes for
 * which unit it did; the agent settles what was noted: a patch takes the restart's place, or the restart is
 * pending.
 *
 * RUNTIME/hold is there while restarts are held, one pattern of an excluded unit a line. STATE/held/UNIT is
 * one restart that was held: the boot's id, and the seconds of /proc/uptime at that moment; then a line for
 * each package that asked: its name, its architecture, and the version before its upgrade. It is in the state
 * folder because it must outlive the agent.
 */

/* Makes RUNTIME/hold, or removes it, as the policy says. */
int held_offer(const char *runtime, const Policy *p, Error *e);

/* A package whose script asked for the restart. */
typedef struct HeldPackage {
        char name[256], arch[32];
        char from[256]; /* the version that it was upgraded from */
} HeldPackage;

enum { HELD_PACKAGES = 16 };
typedef struct Held {
        const char *unit;
        uint64_t since_usec;                 /* CLOCK_REALTIME */
        HeldPackage packages[HELD_PACKAGES]; /* more are not read */
        size_t n;
} Held;

/*
 * Looks at what is held after a round over all processes. Forgotten is a unit of which no process is older
 * than the hold, one that was patched since, and one whose restart is pending for an outdated image. For each
 * other one `needs` is called: its package wanted a restart, and nothing else takes its place.
 */
int held_settle(const char *state, const Converged *c, void (*needs)(void *data, const Held *held),
                void *data, Error *e);

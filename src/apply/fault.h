/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/* Named faults, for tests: something fails, or somebody is killed, at one step. */
typedef enum FaultKind {
        FAULT_NONE,
        FAULT_ERROR,
        FAULT_KILL_GUARDIAN,
        FAULT_KILL_FRONT,
        FAULT_KILL_BOTH
} FaultKind;

/* Every name, in the order of a switch; NULL at the end. */
extern const char *const fault_names[];
/* And of going back after an error: each happens only behind another. */
extern const char *const fault_undo_names[];
/* Arms one fault in this process and in guardians it starts afterwards. NULL: none. */
void fault_set(const char *name, FaultKind kind);
/* What is armed when that one has struck (FAULT_NONE: it was only passed). Behind fault_set. */
void fault_then(const char *name, FaultKind kind);
void fault_front(pid_t pid); /* whom FAULT_KILL_FRONT kills */
/* 0, or -EIO when an error was asked for here. Fires once. */
int fault(const char *name, Error *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"
#include "cli/cli.h"
#include "proc/list.h"

#include <jansson.h>

/* The processes that a command works on. */

/* Does the process map an image with this build-id? Negative: it cannot be looked at. */
int targets_maps(pid_t pid, const BuildId *id, Error *e);
/* Says that `n` processes could not be looked at; returns the exit code that follows from `code`. To
 * root that is a remark (such a process holds privileges that even root lacks here), else an error. */
int targets_hidden(size_t n, int code);

/* What was done to one process by apply or revert. */
typedef enum Done { DONE_PATCHED, DONE_REVERTED, DONE_REFUSED, DONE_CURRENT, DONE_ERROR } Done;
typedef struct Action {
        Process process;
        Done done;
        EngineResult result;
        Error error;
} Action;

typedef struct ActionList {
        Action *items;
        size_t n, room;
} ActionList;

Action *actions_add(ActionList *l, const Process *p);
/* Takes over what an engine call returned. */
void action_finish(Action *a, int returned, Done good);
/* Prints them all; returns the exit code. `verb`: "patched", "reverted". */
int actions_print(const ActionList *l, bool json);
void actions_free(ActionList *l);
json_t *refusal_json(const EngineResult *r);

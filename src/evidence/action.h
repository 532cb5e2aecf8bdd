/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/about.h"
#include "deliver/converge.h"
#include "evidence/step.h"
#include "store/store.h"

/*
 * What was done to an image of a process, or could not be done: kept in the history and told as an event, the
 * same whether the agent did it or somebody by hand.
 */

/* Of an image that was converged; *again: it is worth another try. The texts live in the arena, or are the
 * image's. `patch`: of its pair; NULL: there is none. */
StoreAction action_of_image(const ConvergedProcess *p, const ConvergedImage *image, const Patch *patch,
                            bool *again, Arena *arena);
/* Of one patch that was applied, or taken out; what the engine returned and said. The reason and the detail
 * are what it refused for; otherwise the error, or empty. */
StoreAction action_of_apply(const Process *p, const Patch *patch, int returned, const EngineResult *result,
                            const char *error, Arena *arena);
StoreAction action_of_revert(const Process *p, const ProcessPatch *patch, int returned,
                             const EngineResult *result, const char *error, Arena *arena);

typedef struct Recorder {
        Store *store;       /* NULL: nothing is kept */
        const char *events; /* file, where there is no journal; NULL: the journal only */
        const char *prefix; /* of what is said on standard error: "staunch: warning: " */
        Steps steps;
        Arena *arena;
} Recorder;

/* What is given stays the caller's. */
void recorder_begin(Recorder *r, Store *store, const char *events, const char *root, const char *prefix);
void recorder_end(Recorder *r);
/* `look`: as of steps_emit(). What can't be written is said on standard error. */
void recorder_emit(Recorder *r, EventKind kind, const EventField *fields, size_t n, bool look,
                   const char *message);
void recorder_tell(Recorder *r, EventKind kind, const StoreAction *a, const char *message);
/* The same of what names no builds; `about` says what it is for. */
void recorder_tell_about(Recorder *r, EventKind kind, const StoreAction *a, const About *about,
                         const char *message);
void recorder_keep(Recorder *r, const StoreAction *a);
/* Keeps it, and tells of a patch that is in or out now, or (`again`) could not be put in or taken out. */
void recorder_add(Recorder *r, const StoreAction *a, bool again);

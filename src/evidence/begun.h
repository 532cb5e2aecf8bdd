/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "evidence/action.h"

/*
 * What was begun in processes, written down before it is done. Whoever is killed between a patch and its
 * history and event leaves that behind, and the next who comes tells it. One file in STATE/begun for each
 * writer, locked while he lives. Nothing is synced: when the machine goes down, the processes are gone as
 * well.
 */
typedef struct Begun {
        const char *state; /* folder; NULL: nothing is written */
        int fd;            /* -1: nothing was begun */
        char *path;
} Begun;

/* `state` stays the caller's. */
void begun_init(Begun *b, const char *state);
/* Before the engine is asked to put the patch of an image into the process, or (`reverts`) to take it out.
 * What can't be written (a full disk) is not told by others; whoever lives tells it himself all the same. */
void begun_note(Begun *b, const Process *p, bool reverts, const char *image, const BuildId *old_id,
                const BuildId *new_id, const uint8_t digest[DIGEST_SIZE]);
/* All of it was told. */
void begun_end(Begun *b);
/* Tells what those who were killed had done to processes that still run, and what the history does not have.
 * What the engine's guardian may still do for them is left for the next. `enter`: as OutdatedOptions.enter;
 * NULL: all are asked. */
void begun_tell(const char *state, Recorder *r, bool (*enter)(void *data, const Process *p), void *data);
/* Is there something of others? */
bool begun_left(const char *state);

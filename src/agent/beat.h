/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proc/list.h"

/*
 * Which process a fork of the applier is at, seen from the loop. Looking at a process can take for ever: its
 * files lie on a server that is gone, or it is blocked in the kernel with its memory's lock held.
 */
typedef struct Beat Beat;

/* Shared with forks made later. NULL: no memory. */
Beat *beat_new(void);
Beat *beat_free(Beat *b);
/* Before a fork, while there is none: one that was ended may have been in the middle of saying where it is.
 */
void beat_begin(Beat *b);
/* From now on it is at this process (NULL: at none, and none is to be looked at any more). */
void beat_enter(Beat *b, const Process *p);

/* What a piece of work does, in its order. */
typedef enum BeatDoing {
        BEAT_WAITS,    /* for another that holds the lock; or it begins */
        BEAT_LOOKS,    /* at processes; each that it enters from now on is counted */
        BEAT_COMPARES, /* builds */
        BEAT_CHANGES,  /* processes: a patch goes in or comes out */
} BeatDoing;
const char *beat_doing_text(BeatDoing d); /* "waits", ... */
void beat_does(Beat *b, BeatDoing d);
BeatDoing beat_doing(const Beat *b);
unsigned beat_looked(const Beat *b); /* at so many processes */
/* False: it is at none, or just on its way. */
bool beat_at(const Beat *b, Process *out);

/* It is at no process. */
bool beat_idle(const Beat *b);

/* A process that was looked at for too long. */
typedef struct Unresponsive {
        Process process;
        uint64_t until_usec; /* left alone until then; CLOCK_MONOTONIC */
} Unresponsive;

/* True, and *out (but until_usec), when it has been at one process for that long. */
bool beat_stuck(const Beat *b, uint64_t usec, Unresponsive *out);

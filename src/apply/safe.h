/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "proc/maps.h"
#include "proc/stop.h"
#include "proc/unwind.h"

/*
 * Is this a safe point? For every stopped thread: does it run in, or will it return into, code that
 * no thread may be inside of. The answer "safe" is a proof; everything doubtful is "not now".
 */

typedef struct SafeRange {
        uint64_t start, end; /* addresses of the process */
        uint64_t entry;      /* arriving here is like being called: not inside; 0: none */
        bool ends_in_call;   /* a return address may be `end` */
        bool ask;            /* for safe_set_look: does it end in a call? */
        const char *name;
} SafeRange;

typedef struct SafeSet {
        SafeRange *ranges; /* sorted by start after safe_set_sort; they may overlap */
        size_t n, room;
        uint64_t lo, hi;
        uint64_t *reach; /* highest end of ranges[0..i] */
} SafeSet;

void safe_set_add(SafeSet *s, SafeRange r);
/* Looks in the memory of the process whether the ranges end in calls of which that is to be asked. */
void safe_set_look(SafeSet *s, pid_t pid);
void safe_set_sort(SafeSet *s);
void safe_set_free(SafeSet *s);
/* The range that the thread would be in with its instruction pointer at `pc`; NULL: none. */
const SafeRange *safe_running(const SafeSet *s, uint64_t pc);
/* The range that a return to `addr` would lead into; NULL: none. */
const SafeRange *safe_returning(const SafeSet *s, uint64_t addr);

typedef struct SafeBlame {
        pid_t tid;
        const char *name; /* of the range */
        uint64_t pc;      /* that was found; 0: the stack could not be read */
        bool unwind;      /* a word that may be stale, and the stack could not be unwound to tell */
} SafeBlame;

/* Room for copies of stacks, kept from one try to the next; `threads`: about how many there will be.
 * `before`: the mappings as they were a moment ago, a hint of where stacks end; of the caller, for as long as
 * the reader is used. */
typedef struct StackReader StackReader;
StackReader *stack_reader_new(pid_t pid, const Maps *before, size_t threads, Error *e);
StackReader *stack_reader_free(StackReader *r);
/* Reads the ends of what look like stacks of threads, while all run: they are in the processor's caches, and
 * nothing has to be brought from a disk, when they are read in the stop. */
void stack_reader_warm(StackReader *r);

enum { SAFE_BUSY = 1 };
/* 0: safe; SAFE_BUSY: not now, see *blame. */
int safe_check(const SafeSet *s, const World *w, StackReader *r, Unwinder *unwinder, SafeBlame *blame);
/* After SAFE_BUSY, while all are still stopped: the address that thread `tid` will come to when it has left
 * the ranges that it is in now; 0: not known. A hint: a frame may be left in other ways, too. */
uint64_t safe_exit(const SafeSet *s, const World *w, Unwinder *unwinder, pid_t tid);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What the agent remembers, in SQLite: DIR/state.db. What runs where is not in it: the processes say that
 * themselves. Strings given are copied; strings handed to a callback live as long as the call. NULL strings
 * are kept as "".
 */
typedef struct Store Store;

/* Positive outcome of store_open: the file was not readable as a database; it was put aside, a new one begun.
 */
enum { STORE_LOST = 1 };
int store_open(const char *dir, Store **out, Error *e);
/* For reading only; -ENOENT when there is none. */
int store_open_read(const char *dir, Store **out, Error *e);
Store *store_close(Store *s); /* accepts NULL; returns NULL */
static inline void store_closep(Store **s) {
        store_close(*s);
}

/* What was done to one image of one process. */
typedef struct StoreAction {
        uint64_t time_usec; /* CLOCK_REALTIME */
        pid_t pid;
        const char *comm, *unit, *image, *old_id, *new_id, *digest;
        const char *action;  /* "apply", "revert", "restart" */
        const char *outcome; /* "patched", "reverted", "refused", "error", ... */
        const char *reason, *detail;
        uint64_t functions, pause_usec;
} StoreAction;

typedef struct StoreActionQuery {
        const char *unit, *digest; /* NULL: any */
        uint64_t since_usec;
        unsigned limit; /* the newest so many; 0: all */
} StoreActionQuery;

int store_add_action(Store *s, const StoreAction *a, Error *e);
/* Oldest first. */
int store_each_action(Store *s, const StoreActionQuery *q, void (*each)(void *data, const StoreAction *a),
                      void *data, Error *e);
/* Is the newest action on this image of this process one with this outcome and reason, towards the same
 * build? 1, 0 or negative. For telling news from what was said before. */
int store_said(Store *s, const StoreAction *a, Error *e);
/* Is there one of this process with this patch, action and outcome, not older than it? 1, 0 or negative. */
int store_has_action(Store *s, const StoreAction *a, Error *e);
enum {
        STORE_ACTIONS = 20000,       /* kept at least, if they are young enough; beyond: */
        STORE_ACTIONS_UNIT = 4000,   /* of one unit */
        STORE_ACTIONS_OTHERS = 8000, /* of all that are no system services: anybody could make more of them */
};
/* Drops actions older than this, and the oldest of too many. */
int store_prune(Store *s, uint64_t before_usec, Error *e);

/* A unit (or "process COMM", or "machine") that needs a restart for an update. */
typedef struct StoreRestart {
        const char *subject, *image, *new_id;
        const char *reason; /* refusal code */
        const char *detail;
        uint64_t since_usec, tried_usec;
        unsigned attempts;
        const char *last_result; /* "" before the first attempt */
        /* As it was known when it became pending: what the events about it say. "": unknown, or none. */
        const char *old_id;
        const char *package, *cves; /* with a space between two; several packages may have asked for one */
        uint64_t omitted;           /* so many more */
} StoreRestart;

/* New, or the same subject and image again: `since` and the attempts stay. *fresh: it was not there. */
int store_put_restart(Store *s, const StoreRestart *r, bool *fresh, Error *e);
int store_tried_restart(Store *s, const char *subject, uint64_t time_usec, const char *result, Error *e);
/* 1: this one is there. 0, negative. */
int store_has_restart(Store *s, const char *subject, const char *image, Error *e);
/* It is not needed any more: for an image ("": what its package asked for), or (NULL) for all of the subject.
 */
int store_drop_restart(Store *s, const char *subject, const char *image, Error *e);
int store_each_restart(Store *s, void (*each)(void *data, const StoreRestart *r), void *data, Error *e);

/* A pair of builds whose patch is not applied: it did harm, or was taken out by hand. */
typedef struct StoreQuarantine {
        const char *old_id, *new_id, *digest, *image, *reason;
        uint64_t since_usec;
        bool by_hand; /* processes that have it still keep it, and nothing is restarted for it */
} StoreQuarantine;

/* In place of one of the same builds; but harm is not forgotten for one that was taken out by hand. */
int store_put_quarantine(Store *s, const StoreQuarantine *q, Error *e);
/* By digest, or a beginning of it of at least 8 digits. *n: how many were released. */
int store_release(Store *s, const char *digest, unsigned *n, Error *e);
int store_each_quarantine(Store *s, void (*each)(void *data, const StoreQuarantine *q), void *data, Error *e);

/* Which package's version had a build at a path: src/evidence/builds.h. */
typedef struct StoreBuild {
        const char *id, *path, *package, *arch, *version, *source, *source_version;
        uint64_t first_usec, last_usec; /* when a process was seen to run it; CLOCK_REALTIME */
} StoreBuild;

/* New; or the same build, path and version again: then only last_usec is taken over. */
int store_put_build(Store *s, const StoreBuild *b, Error *e);
int store_each_build(Store *s, void (*each)(void *data, const StoreBuild *b), void *data, Error *e);
/* Drops those that no process was seen to run since. */
int store_prune_builds(Store *s, uint64_t before_usec, Error *e);
/* What the step from one build to another is: src/evidence/step.h. */
typedef struct StoreFixes {
        const char *old_id, *new_id, *package;
        const char *cves;   /* with a space between two; "": none */
        uint64_t omitted;   /* so many more */
        uint64_t time_usec; /* when that was found; CLOCK_REALTIME */
} StoreFixes;

/* New, or in place of the one between these builds. */
int store_put_fixes(Store *s, const StoreFixes *fixes, Error *e);
/* 1: it is there, and was handed on; 0: it is not. */
int store_get_fixes(Store *s, const char *old_id, const char *new_id,
                    void (*found)(void *data, const StoreFixes *fixes), void *data, Error *e);
int store_prune_fixes(Store *s, uint64_t before_usec, Error *e);

/* That no package has a file at this path, while dpkg's status file is the one that was written then
 * (CLOCK_REALTIME). */
int store_put_unowned(Store *s, const char *path, uint64_t status_usec, Error *e);
/* 1, 0 or negative. */
int store_is_unowned(Store *s, const char *path, uint64_t status_usec, Error *e);
enum { STORE_UNOWNED = 4096 };
/* Drops what was kept for another status, and all but the newest STORE_UNOWNED. */
int store_prune_unowned(Store *s, uint64_t status_usec, Error *e);
/* Around many changes: they are written together, or (keep false) not at all. */
int store_begin(Store *s, Error *e);
int store_end(Store *s, bool keep, Error *e);
/* Something begun or told, to be known again by a program that was killed in between. */
typedef struct StoreMark {
        const char *kind, *key;
        uint64_t time_usec; /* CLOCK_REALTIME */
        const char *text;
} StoreMark;

/* New, or in place of the one with this kind and key. */
int store_put_mark(Store *s, const StoreMark *m, Error *e);
int store_drop_mark(Store *s, const char *kind, const char *key, Error *e);
/* Oldest first. Marks must not be changed meanwhile. */
int store_each_mark(Store *s, const char *kind, void (*each)(void *data, const StoreMark *m), void *data,
                    Error *e);
/* 1: it is there; *time_usec (may be NULL) is its time. 0: it is not. */
int store_mark_time(Store *s, const char *kind, const char *key, uint64_t *time_usec, Error *e);
int store_prune_marks(Store *s, const char *kind, uint64_t before_usec, Error *e);

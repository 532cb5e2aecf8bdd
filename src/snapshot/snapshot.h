/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "store/change.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a machine can go back to: snapshots of the root file system by a provider, and copies of packages
 * (keep.h, restore.h). docs/baseline.md.
 */

/* [baseline] snapshot */
typedef enum SnapshotKind {
        SNAPSHOT_AUTO, /* copies of packages, and btrfs or lvm where the root is on one */
        SNAPSHOT_BTRFS,
        SNAPSHOT_LVM,
        SNAPSHOT_PACKAGES,
        SNAPSHOT_HOOK,
        SNAPSHOT_NONE,
} SnapshotKind;

typedef struct SnapshotPolicy {
        SnapshotKind kind;
        uint32_t keep; /* the newest so many changes */
        uint32_t keep_for_sec;
        uint64_t min_free;       /* bytes left free, on the file system of the copies or of the snapshots */
        uint64_t max_size;       /* bytes of all copies */
        const char *const *hook; /* the command and its arguments */
        size_t n_hook;
        uint64_t hook_timeout_usec;
} SnapshotPolicy;

typedef struct SnapshotContext {
        const SnapshotPolicy *policy;
        const char *root;  /* "/": whose packages and file system these are */
        const char *state; /* the state folder; copies are in its folder debs */
} SnapshotContext;

/* Positive outcomes of a provider. */
enum {
        SNAPSHOT_ABSENT = 1, /* available: not on this machine; the error's text says why */
        SNAPSHOT_REBOOT = 2, /* rollback: prepared; in force after a reboot */
};

enum { SNAPSHOT_HANDLE = 201, SNAPSHOT_MARK = 129 };

/* What a provider calls a snapshot, and what it knows it by again: only one whose mark is still the same is
 * ever deleted or rolled back to. */
typedef struct SnapshotMade {
        char handle[SNAPSHOT_HANDLE], mark[SNAPSHOT_MARK];
} SnapshotMade;

typedef struct SnapshotSpace {
        uint64_t free, total; /* bytes; 0 and 0: it does not say */
} SnapshotSpace;

typedef struct SnapshotProvider {
        const char *name;
        int (*available)(const SnapshotContext *c, Error *why);
        /* `name` is free to be used as a file's name: "staunch-12". */
        int (*take)(const SnapshotContext *c, const char *name, SnapshotMade *out, Error *e);
        /* Those of this provider that are there and bear Staunch's name. */
        int (*list)(const SnapshotContext *c, void (*each)(void *data, const SnapshotMade *m), void *data,
                    Error *e);
        /* 0: the root is the one of the snapshot. `name` is for what is put aside. May be asked again. */
        int (*rollback)(const SnapshotContext *c, const SnapshotMade *m, const char *name, Error *e);
        int (*drop)(const SnapshotContext *c, const SnapshotMade *m,
                    Error *e); /* -ENOENT: it is gone already */
        int (*space)(const SnapshotContext *c, SnapshotSpace *out, Error *e);
} SnapshotProvider;

extern const SnapshotProvider snapshot_btrfs, snapshot_lvm, snapshot_hook;

/* NULL: there is none of that name. */
const SnapshotProvider *snapshot_provider(const char *name);
/* The one that the policy names, or for "auto" the first that is available. SNAPSHOT_ABSENT (the text says
 * why) when there is none; 0 with NULL when the policy wants none. */
int snapshot_choose(const SnapshotContext *c, const SnapshotProvider **out, Error *e);
/* Does the policy want copies of packages? */
bool snapshot_wants_packages(const SnapshotPolicy *p);
/* May one be taken without leaving less free than the policy says? 0, -ENOSPC. */
int snapshot_room(const SnapshotContext *c, const SnapshotProvider *p, Error *e);

/* Writes down that one is taken, takes it, writes down that it is there. *id: its row, also on failure (0: it
 * was not begun). */
int snapshot_take(const SnapshotContext *c, const SnapshotProvider *p, Store *s, int64_t change, int64_t *id,
                  Error *e);
/* Deletes it and its row; one that is gone already is no error. */
int snapshot_drop(const SnapshotContext *c, Store *s, const StoreSnapshot *a, Error *e);
const char *snapshot_kind_text(SnapshotKind k);

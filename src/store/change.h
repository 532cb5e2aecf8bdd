/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/store.h"

/*
 * What came before each change of packages: the change, the copies of its packages' old versions, and
 * snapshots of file systems. docs/baseline.md. Strings as in store.h.
 */

typedef struct StoreChange {
        int64_t id; /* counts up */
        uint64_t time_usec;
        int64_t baseline;   /* that brought it into force; 0: none yet */
        bool complete;      /* there is a copy of every version that it replaced */
        const char *reason; /* why not */
        unsigned packages;  /* filled in by store_each_change */
} StoreChange;

/* One package of a change. A version "" stands for "not installed". */
typedef struct StorePackage {
        int64_t change;
        const char *name, *arch, *old_version, *new_version;
        const char *file; /* of the copy of the old version, below STATE/debs; "": there is none */
        const char *sha256;
        const char *origin; /* "kept", "archive", "rebuilt"; "" */
        uint64_t bytes;
} StorePackage;

typedef struct StoreSnapshot {
        int64_t id, change; /* change 0: taken by hand */
        uint64_t time_usec;
        const char *provider;
        const char *handle; /* what the provider calls it; "" until it is taken */
        const char *mark;   /* by which the provider knows that it is the one that was made */
        const char *state;  /* "taking", "ready", "failed" */
        const char *reason;
} StoreSnapshot;

/* *id: of the new one. */
int store_add_change(Store *s, uint64_t time_usec, const StorePackage *packages, size_t n, int64_t *id,
                     Error *e);
int store_set_copy(Store *s, const StorePackage *p, Error *e); /* file, sha256, origin, bytes */
int store_set_change(Store *s, int64_t id, bool complete, const char *reason, Error *e);
/* The change, its packages and its snapshots' rows. */
int store_drop_change(Store *s, int64_t id, Error *e);
/* Oldest first. */
int store_each_change(Store *s, void (*each)(void *data, const StoreChange *c), void *data, Error *e);
/* Of one change, or (0) of all, oldest change first. */
int store_each_package(Store *s, int64_t change, void (*each)(void *data, const StorePackage *p), void *data,
                       Error *e);

int store_add_snapshot(Store *s, const StoreSnapshot *a, int64_t *id, Error *e);
int store_set_snapshot(Store *s, int64_t id, const char *state, const char *handle, const char *mark,
                       const char *reason, Error *e);
int store_drop_snapshot(Store *s, int64_t id, Error *e);
int store_each_snapshot(Store *s, void (*each)(void *data, const StoreSnapshot *a), void *data, Error *e);

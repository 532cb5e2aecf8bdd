/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "snapshot/dpkg.h"
#include "snapshot/snapshot.h"

/*
 * Going back to the versions that were there before some changes, by apt, in one transaction of exactly these
 * packages.
 */
typedef struct RestorePackage {
        const char *name, *arch;
        const char *from;    /* the version that is installed now; "": none */
        const char *version; /* the one that comes back; "": it is removed */
        const char *path;    /* its copy; "" when it is removed */
        bool done;           /* it is there already */
} RestorePackage;

typedef struct Restore {
        Arena *arena;
        RestorePackage *packages; /* by name */
        size_t n, left;           /* all; those that are not done */
} Restore;

/*
 * What has to be done to be where the machine was before the changes of baseline `baseline` (or, 0, before
 * change `change` and all later ones), with every copy looked for and its hash compared. -ENOENT: there are
 * no changes.
 */
int restore_plan(const SnapshotContext *c, Store *s, int64_t baseline, int64_t change, Restore *out,
                 Error *e);
void restore_free(Restore *r);
/* Would apt do exactly this? Changes nothing. */
int restore_verify(const Restore *r, Error *e);
/* Does it, after whatever dpkg had begun is finished; and looks whether it is so. Not one package is left
 * between two versions on success. */
int restore_run(const SnapshotContext *c, Restore *r, Error *e);

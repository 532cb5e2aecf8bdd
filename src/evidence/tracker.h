/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"

#include <stdbool.h>

/*
 * The Debian security tracker's data in the form that debsecan reads ("VERSION 1", inflated): which versions
 * of which package are vulnerable to what. debsecan downloads it at each run and keeps no copy; a machine has
 * it where the administrator mirrors it.
 */

enum {
        TRACKER_MAX = 256 << 20, /* bytes; the data for all releases is under 30 MiB */
        TRACKER_MAX_LINES = 4000000,
};

typedef struct TrackerEntry {
        const char *cve, *package;
        bool binary;                  /* `package` is a binary package, not a source */
        bool available;               /* the release has a fixed version */
        const char *unstable_version; /* fixed in it and all later ones; "": none */
        const char **other_versions;  /* fixed in exactly these */
        size_t n_other;
} TrackerEntry;

typedef struct Tracker {
        const char **cves; /* all that are named, sorted */
        size_t n_cves;
        TrackerEntry *entries; /* by package */
        size_t n;
} Tracker;

/* Strings belong to `a`. A line that is not of the form is an error with its number. */
int tracker_parse(const char *name, const FileBytes *text, Arena *a, Tracker *out, Error *e);
bool tracker_names(const Tracker *t, const char *cve);
/* The entries of a package are those from *from on, *n of them. */
void tracker_of(const Tracker *t, const char *package, size_t *from, size_t *n);
/* Does the tracker say that this version (of the source, or of the binary package of a binary entry) is
 * vulnerable? */
bool tracker_vulnerable(const TrackerEntry *entry, const char *version);

/* From the file `given`, or from the place that debsecan's configuration below the root names with
 * "SOURCE=file:///...". *place: the file; NULL: there is none, and *out stays as it is. */
int tracker_read(int root, const char *given, Arena *a, Tracker *out, const char **place, Error *e);

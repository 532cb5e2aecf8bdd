/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "evidence/changelog.h"
#include "evidence/tracker.h"

/* Which versions of a package have the fix of one CVE, as far as anything that is here says. */
typedef struct Fix {
        const char *fixed;                   /* newest changelog entry that names it; NULL: none */
        const TrackerEntry *source, *binary; /* NULL: none */
} Fix;

/* `c`: NULL: there is none. False: nothing says a word about this CVE in this package. */
bool fix_find(const Changelog *c, const Tracker *t, const char *source, const char *package, const char *cve,
              Fix *out);

typedef enum FixIn { FIX_THERE, FIX_LACKING, FIX_UNKNOWN } FixIn;
/* Does this version have it? By the changelog: it is of the newest entry that names the CVE, or later.
 * Otherwise by the tracker, whose data may be older than the package. A NULL version is unknown. */
FixIn fix_in(const Fix *f, const char *version, const char *source_version);

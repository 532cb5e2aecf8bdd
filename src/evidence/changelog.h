/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"

#include <stdbool.h>

/*
 * A Debian changelog (Debian Policy 4.4): what each version of a source package says of itself. An entry that
 * names a CVE is the maintainer's word that this version has to do with it, most often that it fixes it.
 */

enum {
        CHANGELOG_MAX = 64 << 20, /* bytes; the longest in Debian 12 is under 3 MiB */
        CHANGELOG_MAX_ENTRIES = 50000,
        CHANGELOG_MAX_CVES = 50000, /* names of all entries together */
        CHANGELOG_MAX_OF_ENTRY = 10000,
};

typedef struct ChangelogEntry {
        const char *source, *version;
        int64_t time_sec;  /* of its last line, CLOCK_REALTIME; 0: none that can be read */
        const char **cves; /* "CVE-2024-1234", each once */
        size_t n_cves;
} ChangelogEntry;

typedef struct Changelog {
        ChangelogEntry *entries; /* in the file's order: newest first */
        size_t n;
} Changelog;

/* Text that is no entry is passed over. Strings belong to `a`. Over a limit: -E2BIG. */
int changelog_parse(const char *name, const FileBytes *text, Arena *a, Changelog *out, Error *e);
/* "CVE-" and digits, in any case: writes it in capitals. False when `s` (of n bytes) does not begin with one.
 */
enum { CVE_MAX = 32 };
bool cve_read(const char *s, size_t n, char out[CVE_MAX], size_t *used);

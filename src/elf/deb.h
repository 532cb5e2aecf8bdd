/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/file.h"

#include <stdbool.h>

/* The ELF files, and the changelog, inside a .deb package (ar, then data.tar with any compression), in
 * memory. */
enum {
        DEB_MAX_FILE = 1 << 30,     /* bytes, one member */
        DEB_MAX_TOTAL = 0x7fffffff, /* bytes, all ELF members together */
        DEB_MAX_MEMBERS = 200000,
        DEB_MAX_CHANGELOG = 16 << 20, /* bytes, as it is in the package; a longer one is passed over */
};

typedef struct DebMember {
        char *path; /* absolute: "/usr/sbin/nginx" */
        FileBytes file;
} DebMember;

typedef struct Deb {
        char *package, *version, *architecture; /* of the control file; NULL when it has none */
        char *source;                           /* "openssl" or "openssl (3.0.20-1)"; NULL: as the package */
        FileBytes changelog;                    /* Debian's, most often compressed; empty: none */
        DebMember *members;                     /* ELF files only (by magic), sorted by path */
        size_t n;
} Deb;

bool deb_is(const char *path); /* by content (ar magic), not by name */
int deb_open(const char *path, Deb **out, Error *e);
Deb *deb_free(Deb *d); /* members' files that were taken (bytes NULL) are skipped */
static inline void deb_freep(Deb **d) {
        deb_free(*d);
}

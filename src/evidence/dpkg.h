/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "evidence/changelog.h"

#include <stdbool.h>

/* dpkg's database below a root folder: which packages are there, and what they own. */

enum {
        DPKG_STATUS_MAX = 256 << 20, /* bytes */
        DPKG_MAX_PACKAGES = 500000,
        DPKG_LIST_MAX = 64 << 20, /* bytes, one package's list of files */
};

typedef struct Package {
        const char *name, *arch, *version;
        const char *source, *source_version; /* those of the package itself where it names no others */
        bool whole;                 /* its files are all in place: unpacked, and not half installed */
        bool read;                  /* the changelog was looked for */
        Changelog changelog;        /* of the source, up to source_version; empty: none is there */
        const char *changelog_path; /* NULL: none */
        bool list_read;             /* its list of files was looked at for what follows */
        bool scripts;               /* it has files that an interpreter reads, and keeps in memory */
        uint64_t unpacked_usec;     /* when its list was written, CLOCK_REALTIME; 0: not known */
} Package;

typedef struct Dpkg {
        Arena *arena;
        int root;             /* a folder; owned */
        uint64_t status_usec; /* when it was last changed; CLOCK_REALTIME. 0: there is none */
        Package *packages;    /* of dpkg_read(): by name, then architecture */
        size_t n;
        bool read;
} Dpkg;

/* The text of a status file: stanzas of packages that are installed in some way. Strings belong to `a`. */
int dpkg_parse_status(const char *name, const FileBytes *text, Arena *a, Package **out, size_t *n, Error *e);

/* `root`: "" or NULL: "/". No database there is an empty one. Reads nothing yet. */
int dpkg_open(const char *root, Dpkg *out, Error *e);
/* Reads the packages, once. */
int dpkg_read(Dpkg *d, Error *e);
void dpkg_close(Dpkg *d);
/* NULL: not installed. With `arch` NULL the first of that name. */
Package *dpkg_package(const Dpkg *d, const char *name, const char *arch);

/* Which package owns each of `paths`: *owners[i] is NULL for one that none, or more than one, owns. Paths
 * count in both forms where /usr is merged. Reads every package's list. */
int dpkg_owners(const Dpkg *d, const char *const *paths, size_t n, Package **owners, Error *e);

/* The version of the source that another version of the package was made of; NULL: its numbers are not those
 * of its source. */
const char *dpkg_source_version(const Package *p, const char *version, Arena *a);

/* Is this the file that the package has at `path`? By the MD5 sum that the package brought. */
typedef enum DpkgCheck { DPKG_SAME, DPKG_DIFFERS, DPKG_NO_SUM } DpkgCheck;
DpkgCheck dpkg_check(const Dpkg *d, const Package *p, const char *path, int fd);

/* The changelog of the package's source, read once. Entries newer than the package, and a changelog of
 * another source, are left out. */
const Changelog *dpkg_changelog(const Dpkg *d, Package *p);
/* Fills in `scripts` and `unpacked_usec`, once. */
void dpkg_read_scripts(const Dpkg *d, Package *p);

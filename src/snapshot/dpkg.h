/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * What dpkg knows, asked by its commands (which follow DPKG_ROOT and DPKG_ADMINDIR), and what apt tells
 * before it changes packages. Strings belong to the arena.
 */
enum { DPKG_MAX_PACKAGES = 100000 };

typedef struct DpkgPackage {
        const char *name, *arch, *version;
        const char *status; /* "installed", "half-configured", ... */
} DpkgPackage;

/* Everything that is not just "not-installed" or "config-files". */
int dpkg_installed(Arena *a, DpkgPackage **out, size_t *n, Error *e);
/* NULL: not among them. */
const DpkgPackage *dpkg_find(const DpkgPackage *all, size_t n, const char *name, const char *arch);

/* One package that is about to change. A version "" stands for "not installed". */
typedef struct DpkgChange {
        const char *name, *arch, *old_version, *new_version;
        const char *file; /* the new package's file; "": it is removed */
} DpkgChange;

/*
 * Reads what apt writes to a DPkg::Pre-Install-Pkgs command that asked for version 3, to the end. Lines that
 * only announce a configuration later are left out; a package is there once.
 */
int dpkg_read_changes(FILE *f, Arena *a, DpkgChange **out, size_t *n, Error *e);
/* Can it be a package's name, version or architecture? They become parts of file names and commands. */
bool dpkg_is_name(const char *s);
/* NAME_VERSION_ARCH.deb, as apt writes it. */
const char *dpkg_file_name(Arena *a, const char *name, const char *version, const char *arch);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"

#include <stddef.h>

/* What apt would upgrade now. */

enum { UPGRADES_MAX = 16 << 20 /* bytes of apt-get's output */, UPGRADES_MAX_PACKAGES = 200000 };

typedef struct Upgrade {
        const char *name, *arch, *old, *new; /* versions */
} Upgrade;

typedef struct Upgrades {
        Upgrade *items;
        size_t n;
} Upgrades;

/* The output of "apt-get -s": lines "Inst NAME [OLD] (NEW ORIGIN [ARCH])". Other lines, and packages that are
 * not installed yet, are passed over. */
int upgrades_parse(const char *text, size_t size, Arena *a, Upgrades *out, Error *e);
/* Asks apt, which changes nothing. `root`: NULL: "/". */
int upgrades_read(const char *root, Arena *a, Upgrades *out, Error *e);
/* The .deb of an upgrade in apt's cache, or (`folder`) downloaded there. -ENOENT, without a text: it is not
 * in the cache. */
int upgrades_package(const char *root, const Upgrade *u, const char *folder, Arena *a, const char **out,
                     Error *e);

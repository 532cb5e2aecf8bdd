/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "evidence/exposure.h"

#include <jansson.h>

/*
 * The answer as an OpenVEX 0.2.0 document, for scanners. Products are Debian packages as package URLs, in the
 * versions that run and the one on disk; a version that only patched processes run is not_affected, with each
 * patch as a subcomponent whose hash is that of the code read back. docs/evidence.md has the table.
 */

#define OPENVEX_CONTEXT "https://openvex.dev/ns/v0.2.0"

typedef struct OpenvexOptions {
        const char *author, *tooling;
        uint64_t now_usec; /* CLOCK_REALTIME */
} OpenvexOptions;

/* 0 and a new reference in *out. A document has at least one statement: -ENODATA when there is nothing to
 * state. */
int openvex_document(const Exposure *x, const OpenvexOptions *o, json_t **out, Error *e);
/* "pkg:deb/debian/openssl@3.0.22-1?arch=amd64"; `version` may be NULL. */
const char *package_url(Arena *a, const char *vendor, const char *name, const char *version,
                        const char *arch);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/compare.h"

#include <jansson.h>

/*
 * A comparison as JSON, beside its patch file: how a verdict travels from the process that compares to the
 * one that applies, and how it is kept so that a pair is compared once. Reading one is reading foreign input.
 */
enum { RECORD_MAX = 4 << 20 }; /* bytes of JSON text */

/* A new reference. */
json_t *record_encode(const Comparison *c);
/*
 * Takes `patch` (empty unless the record says hotpatch) over, also on failure. The patch must pass
 * patch_parse() and be for the builds that the record names.
 */
int record_decode(const char *name, const json_t *j, FileBytes *patch, Comparison *out, Error *e);

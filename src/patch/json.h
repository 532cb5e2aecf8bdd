/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/refusal.h"
#include "elf/image.h"

#include <jansson.h>

/* What images, patches and verdicts look like in JSON (docs/json.md): new references. */

/* `s` as a JSON string; bytes that are not UTF-8 are shown as \xNN. NULL becomes "". */
json_t *json_text(const char *s);
json_t *json_time(uint64_t wall_usec); /* RFC 3339, UTC: "2026-01-31T03:00:00.000000Z" */
json_t *json_hex(uint64_t v);          /* "0x1234" */
json_t *json_build_id(const BuildId *id);
json_t *json_digest(const uint8_t digest[32]);
json_t *json_finding(RefusalCode code, const char *subject, const char *detail);
json_t *json_findings(const Verdict *v);

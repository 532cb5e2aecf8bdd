/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/text.h"
#include "deliver/compare.h"

#include <jansson.h>

/* Findings grouped by code: title, the first few subjects, and why it matters, once a code. */
void report_findings(const Verdict *v, FILE *to);
/* On one line: "layout-changed: struct session (size 96 -> 104) and 3 more; tls-changed". */
const char *report_reason(const Verdict *v, Arena *a);
Colour report_colour(Outcome o);
json_t *report_functions(const Comparison *c);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/session.h"

/*
 * Where the variables that a patch adds have their storage already, because another patch of the same
 * base, in place now or earlier, added them: docs/safety.md, claim 27.
 *
 * `headers` are those of the image in the process that count, the active one first (has_active), then
 * from the newest to the oldest. *out is malloc'ed: an address for each variable of the patch, 0: its own.
 * ENGINE_REFUSED: ALREADY_PATCHED or VARIABLE_CHANGED, and only for the active one; what does not fit a
 * patch that was taken out is not bound to it.
 */
int bind_variables(Session *s, const Patch *p, const Header *const *headers, size_t n, bool has_active,
                   uint64_t **out, Error *e);
/* The patch that was staged with this header has its variables where `bound` wants them. */
bool bind_agrees(const Header *h, const Patch *p, const uint64_t *bound);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/compare.h"

/*
 * A revert runs old code on what new code made. So the pair is judged in the other direction too, and what
 * speaks against that is told by the advice `revert-unproved`: docs/safety.md, claim 37.
 */

/* Adds the advice to `v` unless old code may go on with what new code left. What can't be judged is not
 * proved; never fails. Takes `there`, the way there, over; `o`: as for that. */
void wayback_judge(Diff *there, const CompareOptions *o, Verdict *v);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "build/diff.h"

/*
 * The layout verdict without debug information (grade `consistent`): for every CHANGED function,
 * with instructions aligned and values followed to where they come from, shows that the new code
 * touches no place in an old object that the old code did not touch in the same way, or adds
 * LAYOUT_SHIFT, ALLOCATION_SIZE or LAYOUT_UNPROVED findings. Returns the grade it can vouch for:
 * GRADE_CONSISTENT, or GRADE_UNPROVED with findings. The same with any number of threads, of which two are
 * used.
 */
int judge_layout(const Diff *d, unsigned threads, Verdict *v, LayoutGrade *grade, Error *e);

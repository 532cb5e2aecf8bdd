/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/refusal.h"
#include "elf/image.h"

/*
 * Compares the data layouts of two builds by their DWARF. `old_path` and `new_path` are the files
 * that hold .debug_info (the image itself or its debug file). Adds LAYOUT_CHANGED findings, one per
 * changed struct, class, union, enum or typed variable, with a detail that a person can act on
 * ("struct session: size 96 -> 104; member flags 88 -> 92"). Returns 0 with *complete true when
 * every type of both sides was compared (grade `proved` may be given); false when one side has no
 * usable debug information for some unit (assembly units do not count). Sets v->evidence to what was
 * compared, or to why it is not complete.
 *
 * Prototypes of functions are not compared: a caller that must agree with a changed prototype is
 * compiled to other code, which the comparison of code sees. Pointers to functions that data holds
 * are: their types are part of the data.
 *
 * docs/verdict.md says what counts as a change.
 */
int dwarf_compare_types(const char *old_path, const char *new_path, Verdict *v, bool *complete, Error *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/targets.h"

/*
 * Will what was applied by hand last? An agent whose policy is `automatic` brings each process to the build
 * that is on disk: at its next round it takes out a patch that leads to another one. Warns about those of
 * `actions` in which one of these patches is in force, when such an agent runs (`runtime`: its folder; NULL:
 * the usual one), and says what to do. Nothing is said where that can't be told.
 */
void lasting_warn(const char *runtime, const ActionList *actions, Patch *const *patches, size_t n);

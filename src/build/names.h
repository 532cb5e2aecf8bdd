/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "build/diff.h"

/* Which variables have the same name, and the same size, in both images: what a guess is held against. */
typedef struct Names Names;

/* NULL when one of the images has no symbols. In the arena. */
const Names *names_new(const Diff *d, Arena *a);
/* One of the two has a counterpart by its name, and that is not the other. */
bool names_refute(const Names *names, uint64_t old, uint64_t new);

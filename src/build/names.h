/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "build/diff.h"
#include "build/votes.h"

/* Which variables have the same name, and the same size, in both images: what a guess is held against. */
typedef struct Names Names;

/* NULL when one of the images has no symbols. In the arena. */
const Names *names_new(const Diff *d, Arena *a);
/*
 * One of the two variables of a vote has a counterpart by its name, which is not the other, and which another
 * function votes for, too: names alone may have been given to others. The votes are sorted.
 */
bool names_refute(const Names *names, const Vote *votes, size_t n, const Vote *v);

/* The length of a name without what compilers put behind that of a function's own variable: count.0,
 * count.17. */
size_t names_stem(const char *name);

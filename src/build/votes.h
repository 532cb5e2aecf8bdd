/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "build/diff.h"

/* What references testify of where variables are. Internal to correspond(). */

typedef struct Vote {
        uint64_t new, old;
        uint32_t match; /* index into Diff.matches; NO_FUNCTION for relocated data and symbols */
} Vote;

typedef struct Edge { /* all votes of one (new, old) pair */
        uint64_t new, old;
        uint32_t votes;
        uint32_t witness; /* the match of the first vote */
        bool sure;        /* several functions say it, or data or a symbol */
        bool loses;
        bool followed; /* what the data there points to has voted */
} Edge;

/*
 * Edges, sorted by new address: one that a single function alone testifies, at another distance than its sure
 * neighbours, loses when nothing explains the distance. Such a function may as well refer to another element
 * of an array, or to another variable, than it did. `scratch` holds what that takes; nothing of it is needed
 * afterwards.
 */
void votes_contest_distance(const Diff *d, Arena *scratch, Edge *edges, size_t n);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dwarf/content.h"

/* What differs between two types, as a person reads it: "size 96 -> 104; member flags 88 -> 92". */
typedef struct Notes {
        char text[320];
        size_t at, n, omitted;
        bool own; /* something of this type itself, not only of a type that it contains */
} Notes;

typedef enum PairState { PAIR_FREE, PAIR_UNKNOWN, PAIR_SAME, PAIR_DIFFERENT } PairState;

typedef struct Pair {
        const void *old, *new;
        PairState state;
} Pair;

typedef struct Comparison {
        Side *old, *new;
        Pair *pairs; /* open addressing */
        size_t n_pairs, pairs_room;
        size_t steps;
        bool exhausted; /* the limit was reached; answers are "not the same" since then */
} Comparison;

/*
 * May memory that was written as the old type be read and written as the new one? What may differ:
 * names, where the same name does not now stand for another place; signedness; an integer for an
 * enum of the same size; enumerators that are new. `notes` may be NULL.
 */
bool compare_types(Comparison *c, const Dwarf_Die *old, const Dwarf_Die *new, Notes *notes, unsigned depth);
/* Ends the notes' text. */
const char *notes_text(Notes *notes);
void compare_release(Comparison *c);

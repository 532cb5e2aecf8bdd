/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "build/names.h"
#include "build/votes.h"

/* What the parts of correspond() share. */

typedef struct Blame { /* a constant that differs: whoever uses it has changed */
        uint64_t new, size;
} Blame;

typedef struct Become { /* a match that is of another kind, once all are compared */
        uint32_t match;
        MatchKind kind;
        const char *why;
} Become;

typedef struct Work {
        Diff *d;
        Arena *arena;     /* what lasts as long as the diff: reasons, alignments */
        bool joins_later; /* another thread compares others, so nothing is joined but said here: */
        bool join_asked;
        VEC(Become) becomes;
        bool tls_moved;
        const Names *names; /* may be NULL */
        VEC(Vote) votes;    /* variables */
        VEC(Vote) consts;   /* constants with the same content */
        VEC(Blame) blames;
        bool *reads; /* per target of the new code: an instruction reads what is there; NULL: not known yet */
        Arena *scratch; /* what counting the votes once takes: the edges, and all to contest them */
        Edge *edges;
        size_t n_edges;
        uint32_t *by_old; /* edges sorted by old */
        bool guess;       /* the callers are aligned, and not the same */
        bool late;        /* after the first round: unlike functions are joined, too */
        bool changed;     /* something became CHANGED or CARRIED in this round */
} Work;

/* By new address, then by old. */
int vote_compare(const void *x, const void *y);

/* blames.c: blames of what earlier references lead to when a constant differs that may be its tail. Sorts
 * them. */
void blames_widen(Work *w);
/* Blames of constants that differ behind a reference which nobody compares. Sorts the votes for constants. */
void blames_of_tails(Work *w);
bool blamed(const Work *w, uint64_t new);

/* correspond.c: holds a pair with the same instructions against the map, and votes. Returns what kind it is.
 */
Become correspond_pair(Work *w, uint32_t match);
/* Votes by the aligned instructions of a changed pair. */
void correspond_aligned(Work *w, uint32_t match);
void correspond_become(Work *w, uint32_t match, MatchKind kind, const char *why);
/* correspond-pairs.c: compares all pairs once, collects their votes anew, and says which are of another kind.
 */
void correspond_pairs(Work *w, unsigned threads);

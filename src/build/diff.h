/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/refusal.h"
#include "build/code.h"
#include "patch/patch.h"

/* The result of comparing two images. Owned by its arena, which is the Diff's. */

typedef enum MatchKind {
        MATCH_IDENTICAL, /* same instructions, same references under the map, same constants */
        MATCH_CHANGED,   /* the same function with other content */
        MATCH_CARRIED,   /* same content, but carried because a constant or table it uses changed */
        MATCH_ADDED,     /* new only */
        MATCH_REMOVED,   /* old only */
} MatchKind;

/* Why two functions were paired. */
typedef enum MatchBasis {
        BASIS_NONE,
        BASIS_SYMBOL,
        BASIS_CONTENT,
        BASIS_ORDER,
        BASIS_CALLER,
        BASIS_SIMILAR
} MatchBasis;

typedef struct Match {
        uint32_t old, new; /* indexes into functions, or NO_FUNCTION */
        MatchKind kind;
        MatchBasis basis;
        const char *why; /* for CHANGED and CARRIED: short, for people; never NULL */
} Match;

/* One pair of instructions of a changed function: indexes into Code.insns, or UINT32_MAX for an
 * instruction that only one side has. In order of both functions. */
typedef struct InsnPair {
        uint32_t old, new;
} InsnPair;

typedef struct Alignment {
        InsnPair *pairs;
        size_t n;
} Alignment;

/* Where a new address is in the old image. */
typedef enum MapState {
        MAP_NONE,      /* no evidence */
        MAP_TESTIFIED, /* unchanged code, a symbol or a relocation says so */
        MAP_CONFLICT,  /* evidence contradicts itself */
} MapState;

typedef struct MapEntry {
        uint64_t new, old;
        uint32_t votes;
        MapState state;
} MapEntry;

/* A constant of the new image. */
typedef struct ConstTable {
        uint64_t new, size;
} ConstTable;

/* A pointer in a constant table that stays where it is, and must lead elsewhere. */
typedef struct ConstWord {
        uint64_t old, new;               /* the word */
        uint64_t old_target, new_target; /* what it leads to */
} ConstWord;

typedef struct Diff {
        Arena *arena, *beside; /* the other one is a second thread's */
        const Image *old_image, *new_image;
        Code *old, *new;
        Match *matches; /* one per old function in order, then the added ones */
        size_t n_matches;
        uint32_t *old_match, *new_match; /* function index -> index into matches */
        const struct NormKey *old_by_norm,
                *new_by_norm;  /* functions sorted by content; NULL: not asked for yet */
        Alignment *alignments; /* per match; empty unless CHANGED */
        MapEntry *map;         /* sorted by new */
        size_t n_map;
        ConstTable *tables; /* relocated constants that the patch brings anew */
        size_t n_tables;
        ConstTable *changed_consts; /* constants other than text that differ, as far as code of both builds
                                       refers to them */
        size_t n_changed_consts;
        ConstWord *words; /* pointers that the patch rewrites in place; sorted by old in the patch */
        size_t n_words, room_words;
        bool versions_left;     /* a variable points to a version text that differs */
        bool numbers_changed;   /* a constant other than text differs: it may be a size */
        bool tls_moved;         /* some code uses another place of the thread-local block */
        bool constructor_doubt; /* some constructor may initialise something else now */
        size_t n_identical, n_changed, n_carried, n_added, n_removed;
        const bool *once;          /* per old function: it runs once (startup.c); NULL: not known */
        const char *adds_variable; /* a function for which the patch adds a variable; NULL: it adds none. By
                                      emit_patch() */
        Verdict verdict;
        uint64_t usec;
} Diff;

typedef struct DiffOptions {
        unsigned threads;                  /* 0: as many as there are cores */
        const char *debug_old, *debug_new; /* debug files; NULL: search */
        bool no_debug;                     /* do not look for debug information at all */
} DiffOptions;

/* Compares two images; takes neither over, both must outlive the diff. A refusal is a result: it is
 * in the verdict, and the return is 0. */
int diff_run(const Image *old, const Image *new, const DiffOptions *options, Diff **out, Error *e);
/* The same two images the other way round, with the code that was loaded for `there`, which it takes over,
 * also on failure. `options`: as for `there`. */
int diff_turn(Diff *there, const DiffOptions *options, Diff **out, Error *e);
Diff *diff_free(Diff *d);
static inline void diff_freep(Diff **d) {
        diff_free(*d);
}
const MapEntry *diff_map(const Diff *d, uint64_t new_addr); /* NULL: nothing known of that address */

/* Makes the patch of a diff: adds findings to d->verdict where something cannot be carried. Returns
 * 0 and the patch, or positive EMIT_REFUSED when the verdict is not hotpatchable (*out untouched). */
enum { EMIT_REFUSED = 1, EMIT_NOTHING = 2 };
int emit_patch(Diff *d, const bool accepted[REFUSAL_N], Patch **out, Error *e);

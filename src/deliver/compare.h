/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "build/diff.h"

/*
 * Two images compared and, when that is possible, the patch made: what diff, build and converge
 * have in common. The patch is emitted for diff too, because emitting can find reasons to refuse.
 */

typedef enum Outcome { OUTCOME_HOTPATCH, OUTCOME_RESTART, OUTCOME_UNCHANGED, OUTCOME_UNSUPPORTED } Outcome;
const char *outcome_text(Outcome o);

typedef struct Comparison {
        Arena *arena;
        Outcome outcome;
        BuildId old_id, new_id;
        Verdict verdict;
        size_t identical, changed, carried, added, removed;
        uint64_t usec, peak_kib;
        Patch *patch;        /* OUTCOME_HOTPATCH only; independent of the images */
        const char *soname;  /* of the new image; NULL: none */
        const char **needed; /* sonames that the new image depends on */
        size_t n_needed;
        uint8_t *patch_bytes; /* its file */
        size_t patch_size;
} Comparison;

typedef struct CompareOptions {
        DiffOptions diff;
        const bool *accepted;                                        /* by RefusalCode */
        const char *old_path, *new_path, *old_version, *new_version; /* for the patch; NULL: "" */
} CompareOptions;

/* Takes `old` and `new` (content of files) over, also on failure. */
int compare_files(const char *old_name, FileBytes *old, const char *new_name, FileBytes *new,
                  const CompareOptions *options, Comparison *out, Error *e);
void comparison_free(Comparison *c);

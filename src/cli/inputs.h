/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/cli.h"
#include "deliver/compare.h"
#include "elf/deb.h"
#include "elf/image.h"

/* OLD and NEW of a command line: two ELF files, or two .deb packages and the ELF pairs inside. */

typedef struct Pair {
        const char *file; /* what a person calls it: the path in the package, or the new path */
        const char *old_path, *new_path; /* in the package, or as given */
        FileBytes old, new;              /* taken by whoever parses them */
} Pair;

typedef struct Inputs {
        Arena *arena;
        Deb *old_deb, *new_deb; /* NULL: ELF files */
        Pair *pairs;
        size_t n;
        const char **only_old, **only_new; /* files of a package without a partner */
        size_t n_only_old, n_only_new;
} Inputs;

/* Also: are the files with debug information that the options name there? */
int inputs_open(const char *old, const char *new, const Options *o, Inputs *out, Error *e);
void inputs_close(Inputs *in);

/* Compares one of the pairs. `old` and `new` are the operands that the inputs were opened with. */
int compare_pair(const Inputs *in, Pair *pair, const char *old, const char *new, const Options *o,
                 Comparison *out, Error *e);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "patch/patch.h"

/* Constants of the patch file that its writer and its reader share. docs/patch-format.md is normative. */
enum {
        FORMAT_VERSION = 4,

        FORMAT_EHDR = 64,
        FORMAT_SHDR = 64,
        FORMAT_SYM = 24,
        FORMAT_RELA = 24,

        FORMAT_FLAG_EXECUTABLE = 1,
        FORMAT_FLAG_LOW = 2,

        FORMAT_IMPORT_WEAK = 1,
        FORMAT_IMPORT_FUNCTION = 2,
};

#define FORMAT_OWNER "Staunch"

/* The notes lie in this order, each exactly once; the type in the file is FORMAT_NOTE_TYPE more (small
 * numbers would be shown under the names of other owners' notes). */
enum { FORMAT_NOTE_TYPE = 0x53540000 };
typedef enum FormatNote {
        FORMAT_NOTE_HEADER = 1,
        FORMAT_NOTE_VERDICT,
        FORMAT_NOTE_SITES,
        FORMAT_NOTE_RANGES,
        FORMAT_NOTE_IMPORTS,
        FORMAT_NOTE_ADDENDS,
        FORMAT_NOTE_VARIABLES,
        FORMAT_NOTE_WORDS,
} FormatNote;

/* The sections behind the carried ones, in this order. */
enum {
        FORMAT_TAIL_NOTE,
        FORMAT_TAIL_RELA,
        FORMAT_TAIL_SYMTAB,
        FORMAT_TAIL_STRTAB,
        FORMAT_TAIL_SHSTRTAB,
        FORMAT_TAIL_N
};
#define FORMAT_NAME_NOTE ".note.staunch"
#define FORMAT_NAME_RELA ".rela.staunch"

/* Symbols 1 and 2; the imports are the last n_imports symbols. */
enum { FORMAT_SYM_OLD = 1, FORMAT_SYM_SHADOW = 2 };
#define FORMAT_OLD_BASE "__staunch_old_base"
#define FORMAT_SHADOW_BASE "__staunch_shadow_base"

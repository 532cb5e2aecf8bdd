/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cursor.h"
#include "base/vec.h"
#include "elf/image.h"

/* An exception table (LSDA), as GCC and clang write it; offsets are into it. */
typedef struct UnwindTable {
        Cursor c; /* at the first call site, then where the last one that was read ends */
        uint64_t addr;
        uint64_t types;     /* behind the types, which are counted backwards; 0: there are none */
        uint64_t sites_end; /* the actions begin here */
        uint8_t site_encoding, type_encoding;
} UnwindTable;

/* Offsets are from the start of the code that the table is of. */
typedef struct UnwindSite {
        uint64_t start, size;
        uint64_t pad;    /* 0: none */
        uint64_t action; /* 1: the first; 0: only to clean up */
} UnwindSite;

/* False: malformed, or landing pads relative to something else. */
bool unwind_table(const Image *image, uint64_t lsda, UnwindTable *out);
/* False at the end, or when it is malformed (t->c.failed). */
bool unwind_site(UnwindTable *t, UnwindSite *out);

/* One step of an action: a type to catch, counted from 1; 0: only to clean up; negative: a list of types that
 * may be thrown. */
typedef struct UnwindAction {
        int64_t filter;
        uint64_t next; /* as UnwindSite.action; 0: it is the last */
} UnwindAction;
bool unwind_action(const UnwindTable *t, uint64_t action, UnwindAction *out);

/* Types, by their numbers; of a list, from *at (0: the first) on. */
enum { UNWIND_STEPS = 4096 }; /* in a chain or a list, at most */
bool unwind_listed(const UnwindTable *t, int64_t filter, uint64_t *at, uint64_t *type);

typedef enum UnwindType {
        UNWIND_BAD,
        UNWIND_ALL,    /* whatever is thrown */
        UNWIND_CELL,   /* *addr: of a word that holds the type's address */
        UNWIND_DIRECT, /* *addr: of the type */
        UNWIND_OTHER   /* encoded in another way */
} UnwindType;
UnwindType unwind_type(const UnwindTable *t, uint64_t index, uint64_t *addr);

typedef VEC(uint64_t) UnwindCells;

/* The pointer cells that the exception table (LSDA, as GCC and clang write it) at `lsda` refers to:
 * addresses of words that hold the address of a type to catch. False when the table is malformed or
 * encodes its types in a way that a copy at another place would break. The caller frees `cells`. */
bool unwind_cells(const Image *image, uint64_t lsda, UnwindCells *cells);

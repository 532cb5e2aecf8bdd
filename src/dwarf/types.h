/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/refusal.h"
#include "elf/image.h"

/*
 * Compares the data layouts of two builds by their DWARF. `old_path` and `new_path` are the files
 * that hold .debug_info (the image itself or its debug file). Adds LAYOUT_CHANGED findings, one per
 * changed struct, class, union, enum or typed variable, with a detail that a person can act on
 * ("struct session: size 96 -> 104; member flags 88 -> 92"). Returns 0 with *complete true when
 * every type of both sides was compared (grade `proved` may be given); false when one side has no
 * usable debug information for some unit (assembly units do not count). Sets v->evidence to what was
 * compared, or to why it is not complete.
 *
 * Prototypes of functions are not compared: a caller that must agree with a changed prototype is
 * compiled to other code, which the comparison of code sees. Pointers to functions that data holds
 * are: their types are part of the data.
 *
 * docs/verdict.md says what counts as a change.
 */
int dwarf_compare_types(const char *old_path, const char *new_path, Verdict *v, bool *complete, Error *e);

/*
 * What the debug information of one image says about places: static variables and functions, by
 * name and source file. For mapping data and code exactly by name. All pointers are the arena's.
 */
typedef struct DwarfVariable {
        const char *name; /* qualified: "ns::v", "function::v" for a static local; without the unit */
        const char *unit; /* source file as the compiler was given it, less the build directory; "" when there
                             is none */
        uint64_t addr;    /* vaddr; for `tls` the offset in the TLS segment */
        uint64_t size;    /* 0: the type's size is not known */
        bool tls, external;
} DwarfVariable;

typedef struct DwarfFunction {
        const char *name;    /* as in the source */
        const char *linkage; /* the symbol's name; NULL: as `name` */
        const char *unit;
        uint64_t addr, size; /* of its first range */
} DwarfFunction;

typedef struct DwarfPlaces {
        DwarfVariable *variables; /* sorted by addr, tls last */
        size_t n_variables;
        DwarfFunction *functions; /* sorted by addr */
        size_t n_functions;
} DwarfPlaces;

/* Positive outcome: DWARF_NONE when there is no debug information in the file. */
enum { DWARF_NONE = 1 };
int dwarf_places(const char *path, Arena *arena, DwarfPlaces *out, Error *e);

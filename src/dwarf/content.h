/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dwarf/side.h"

/*
 * A type's content: everything that says how an object of it lies in memory, as one hash. Equal
 * contents are equal layouts; unequal ones are looked at by compare.c, which forgives what does not
 * matter (a member renamed in place). The type's own name is not part of it.
 */

typedef enum MemberKind {
        MEMBER_FIELD,
        MEMBER_BASE,
        MEMBER_VIRTUAL, /* a virtual function: at its slot of the vtable */
        MEMBER_VARIANT, /* the discriminant or an arm of a variant part (Rust) */
} MemberKind;

typedef struct Member {
        MemberKind kind;
        const char *name;  /* "" when anonymous */
        uint64_t bit_at;   /* from the start of the aggregate; a slot for MEMBER_VIRTUAL */
        uint64_t bit_size; /* 0: not a bit-field */
        uint64_t place; /* hash of a place that is not a constant (virtual bases), or of a discriminant value
                         */
        bool has_type;
        Dwarf_Die type;
} Member;
typedef VEC(Member) Members;

typedef struct Enumerator {
        const char *name;
        int64_t value;
} Enumerator;
typedef VEC(Enumerator) Enumerators;

/* A type without qualifiers and typedefs, found from a DIE. */
typedef struct Stripped {
        Dwarf_Die die;
        int tag;         /* DW_TAG_*; 0: void */
        bool constant;   /* some qualifier on the way was const */
        Dwarf_Die named; /* the last typedef passed */
        bool has_named;
} Stripped;

Stripped content_strip(Side *side, const Dwarf_Die *type);
Stripped content_strip_attribute(Side *side, const DieFacts *f);
Hash content_of(Side *side, const Dwarf_Die *type, unsigned depth);
Hash content_constant(int64_t value);
/* As a pointer's target is seen: by name and not by content. */
Hash content_shallow(Side *side, const Stripped *type, unsigned depth);
void content_variable(Side *side, Variable *v);
void content_mark_named(Side *side, size_t type);
/* DWARF's base types that have one form in memory are one class. */
unsigned content_base_class(uint64_t encoding);
bool content_is_aggregate(int tag);

/* Both append; a member of a kind that layouts do not know is left out. */
void content_members(Side *side, const Dwarf_Die *aggregate, Members *out);
void content_enumerators(Side *side, const Dwarf_Die *type, Enumerators *out);
/* The hash of an array's bounds; `text`: "[4][2]", for people. */
Hash content_bounds(Side *side, const Dwarf_Die *array, char *text, size_t size, uint64_t *count);
uint64_t content_size(Side *side, const Dwarf_Die *type, unsigned depth);
/* As a person writes it: "struct foo *", "char[16]". */
const char *content_text(Side *side, const Dwarf_Die *type, char *out, size_t size);

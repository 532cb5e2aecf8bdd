/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/vec.h"
#include "dwarf/die.h"
#include "dwarf/open.h"

#include <xxhash.h>

/*
 * One side of a comparison: a file's debug information with every type and every static variable
 * found, named and given a content. Nothing here is shared between the sides, so that each can be
 * read by its own thread.
 */

typedef XXH128_hash_t Hash;

static inline bool hash_equal(Hash a, Hash b) {
        return a.low64 == b.low64 && a.high64 == b.high64;
}
Hash hash_number(Hash h, uint64_t n);
Hash hash_text(Hash h, const char *s);
static inline Hash hash_hash(Hash h, Hash other) {
        return hash_number(hash_number(h, other.low64), other.high64);
}

/* A qualified name. The same name is the same Name within a side and has the same hash on both. */
typedef enum NameKind {
        NAME_ROOT = 0,
        NAME_UNIT = 'c',
        NAME_NAMESPACE = 'n',
        NAME_FUNCTION = 'f',
        NAME_STRUCT = 's', /* struct and class: C++ code mixes the two for one type */
        NAME_UNION = 'u',
        NAME_ENUM = 'e',
        NAME_TYPEDEF = 't',
        NAME_VARIABLE = 'v',
        NAME_ENUMERATOR = 'k', /* of an enum that has no name */
} NameKind;

typedef struct Name {
        const struct Name *parent; /* NULL: none */
        const char *text;
        NameKind kind;
        Hash hash;
} Name;

typedef enum TypeState { TYPE_FRESH, TYPE_BUSY, TYPE_DONE } TypeState;

/* A type's DIE. Entries are made for every DIE that has a name or is referred to. */
typedef struct TypeEntry {
        void *addr;
        Dwarf_CU *cu;
        const Name *name; /* NULL: anonymous */
        Hash content;
        uint32_t unit;
        uint16_t tag;
        uint8_t state; /* of `content` */
        bool listed;   /* complete, and compared by name */
        bool named_by_typedef;
} TypeEntry;

/* One distinct definition of a name; the units that hold it are gathered when it matters. */
typedef struct Definition {
        const Name *name;
        Hash content;
        uint32_t entry;
        uint32_t next; /* definition of the same name, or UINT32_MAX */
} Definition;

/* An enum with no name: its enumerators are compared one by one, as constants of their scope. */
typedef struct AnonymousEnum {
        const Name *scope;
        uint32_t entry;
} AnonymousEnum;

typedef struct Variable {
        const Name *name;
        const Name *unit;
        const Name *scope;
        const char *text;
        Dwarf_Die die;      /* the one that has the type; the type itself once it has a content */
        Dwarf_Die declared; /* in its class or namespace, if has_declared */
        bool external, has_declared, has_type, tls, has_address, constant;
        Hash content;
        uint64_t addr, size;
} Variable;

typedef struct Function {
        const char *name, *linkage;
        const Name *unit;
        uint64_t addr, size;
} Function;

typedef struct Unit {
        void *addr;       /* of the unit's DIE */
        const Name *name; /* NULL: a type unit or a partial unit */
        bool walked;
} Unit;

typedef struct UnitEdge { /* `user` imports or refers to `used` */
        uint32_t user, used;
} UnitEdge;

typedef struct UnitRange {
        uint64_t lo, hi;
} UnitRange;

typedef VEC(UnitEdge) UnitEdges;

typedef struct PointerMap { /* address of a DIE -> index */
        struct {
                const void *key;
                uint32_t value;
        } * slots;
        size_t n, room; /* room is a power of two, or 0 */
} PointerMap;

bool pointer_map_get(const PointerMap *m, const void *key, uint32_t *value);
void pointer_map_put(PointerMap *m, const void *key, uint32_t value); /* a key that is there is replaced */

typedef struct Side {
        Arena *arena;
        const char *path;
        DebugFile file, alt;

        VEC(Unit) units;
        PointerMap unit_of; /* address of a unit's DIE -> units */
        UnitEdges edges;
        VEC(TypeEntry) types;
        PointerMap type_of; /* address of a DIE -> types */
        VEC(AnonymousEnum) anonymous_enums;
        VEC(Variable) variables;
        VEC(Function) functions;
        VEC(UnitRange) ranges; /* code that some unit describes */
        bool want_functions;

        const Name **names; /* open addressing by hash */
        size_t n_names, names_room;
        VEC(Definition) definitions;
        uint32_t *definition_of; /* as `names`: the first definition, or UINT32_MAX */

        uint64_t steps; /* DIEs looked at, against a limit that no honest file reaches */
        char why[200];  /* why the debug information is not complete; "" when it is */
} Side;

enum {
        SIDE_MAX_DEPTH = 200,       /* of nested scopes and of nested types */
        SIDE_MAX_STEPS = 400000000, /* DIEs */
};

/* Opens and reads everything. Positive SIDE_NO_DEBUG: no debug information there (side->why says). */
enum { SIDE_NO_DEBUG = 1 };
int side_read(Side *side, const char *path, bool contents, Error *e);
void side_release(Side *side);

/* Notes the first reason why the information is not complete. */
void side_incomplete(Side *side, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Counts a step; false (and incomplete) when the limit is reached. */
bool side_step(Side *side);

const Name *side_name(Side *side, const Name *parent, NameKind kind, const char *text);
/* The first definition of a name of either side, by hash; UINT32_MAX when there is none. */
uint32_t side_definitions(const Side *side, const Name *name);
bool side_has_name(const Side *side, const Name *name);
TypeEntry *side_type(Side *side, Dwarf_Die *die); /* made when it is not there; NULL never */
/* A file's text name of a scope: "ns::outer::inner". */
const char *name_text(const Name *name, char *out, size_t size);

/* walk.c: finds units, types, variables, functions. */
void side_walk(Side *side);
/* coverage.c: is there code that no unit describes? */
void side_coverage(Side *side);
/* altlink.c: the file that dwz moved common parts to. */
void side_open_alt(Side *side);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The attributes of one DIE that layouts need, read in one pass over it. libdw's own integrating
 * and peeling helpers are not used: they follow references without a limit, and the file may be
 * damaged. Following a reference is always the caller's step, with the caller's limit.
 */
enum {
        HAS_TYPE = 1 << 0,
        HAS_SPECIFICATION = 1 << 1,
        HAS_ORIGIN = 1 << 2,
        HAS_SIGNATURE = 1 << 3,
        HAS_LOCATION = 1 << 4,
        HAS_MEMBER_LOCATION = 1 << 5,
        HAS_BIT_OFFSET = 1 << 6,      /* DWARF 2 and 3: counted from the most significant bit */
        HAS_DATA_BIT_OFFSET = 1 << 7, /* DWARF 4 and later */
        HAS_BIT_SIZE = 1 << 8,
        HAS_BYTE_SIZE = 1 << 9,
        HAS_CONST_VALUE = 1 << 10,
        HAS_BOUND = 1 << 11, /* DW_AT_count or DW_AT_upper_bound as a constant, as a count */
        HAS_VARIABLE_BOUND = 1 << 12,
        HAS_VTABLE_SLOT = 1 << 13,
        HAS_IMPORT = 1 << 14,
        HAS_CODE = 1 << 15, /* DW_AT_low_pc or DW_AT_ranges */
        HAS_DWO = 1 << 16,
        HAS_DISCRIMINANT = 1 << 17,
};

typedef struct DieFacts {
        int tag;
        uint32_t has;
        bool declaration, external, artificial, damaged;
        uint8_t virtuality;
        const char *name, *linkage; /* NULL: none */
        uint64_t byte_size, bit_size, bit_offset, data_bit_offset, encoding, alignment, bound;
        uint64_t vtable_slot, discriminant, stride, language;
        int64_t const_value;
        Dwarf_Attribute type, specification, origin, signature, location, member_location, import;
} DieFacts;

/* Never fails: what cannot be read is not there, and `damaged` says so. */
void die_facts(Dwarf_Die *die, DieFacts *f);

/* The DIE that a reference attribute leads to; false when it leads nowhere. */
bool die_follow(const Dwarf_Attribute *reference, Dwarf_Die *out);

/*
 * Steps to the next child of one parent. Returns false at the end. Sets *damaged and returns false
 * when the file's sibling pointers lead backwards, which would never end.
 */
bool die_next(Dwarf_Die *child, bool *damaged);
/* The first child; false when there is none. */
bool die_first(Dwarf_Die *parent, Dwarf_Die *child, bool *damaged);

/* Where a static variable is. False: it is not one object at one place. */
bool die_static_address(const Dwarf_Attribute *location, uint64_t *addr, bool *tls);

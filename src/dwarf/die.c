/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/die.h"

#include <stddef.h>

static bool number(Dwarf_Attribute *a, uint64_t *out) {
        Dwarf_Word w;

        if (dwarf_formudata(a, &w) != 0)
                return false;
        *out = w;
        return true;
}

static void set_number(DieFacts *f, Dwarf_Attribute *a, uint64_t *out, uint32_t bit) {
        if (number(a, out))
                f->has |= bit;
        else
                f->damaged = true;
}

static void set_flag(DieFacts *f, Dwarf_Attribute *a, bool *out) {
        if (dwarf_formflag(a, out) != 0)
                f->damaged = true;
}

static void set_attribute(DieFacts *f, const Dwarf_Attribute *a, Dwarf_Attribute *out, uint32_t bit) {
        *out = *a;
        f->has |= bit;
}

/* DW_AT_upper_bound and DW_AT_count are constants for a fixed array, anything else for a variable one.
 * gcc writes the bound of a zero-length array as -1 in a signed or an 8-byte form. */
static void set_bound(DieFacts *f, Dwarf_Attribute *a, bool upper) {
        Dwarf_Sword s;
        uint64_t u;

        switch (dwarf_whatform(a)) {
        case DW_FORM_data1:
        case DW_FORM_data2:
        case DW_FORM_data4:
        case DW_FORM_data8:
        case DW_FORM_udata:
                if (number(a, &u)) {
                        f->bound = upper ? u + 1 : u;
                        f->has |= HAS_BOUND;
                        return;
                }
                break;
        case DW_FORM_sdata:
        case DW_FORM_implicit_const:
                if (dwarf_formsdata(a, &s) == 0) {
                        f->bound = upper ? (uint64_t)s + 1 : (uint64_t)s;
                        f->has |= HAS_BOUND;
                        return;
                }
                break;
        default:
                break;
        }
        f->has |= HAS_VARIABLE_BOUND;
}

static void set_vtable_slot(DieFacts *f, Dwarf_Attribute *a) {
        Dwarf_Op *ops;
        size_t n;

        if (number(a, &f->vtable_slot)) {
                f->has |= HAS_VTABLE_SLOT;
        } else if (dwarf_getlocation(a, &ops, &n) == 0 && n > 0) {
                f->vtable_slot = ops[0].number;
                if (ops[0].atom >= DW_OP_lit0 && ops[0].atom <= DW_OP_lit31)
                        f->vtable_slot = ops[0].atom - DW_OP_lit0;
                f->has |= HAS_VTABLE_SLOT;
        } else {
                f->damaged = true;
        }
}

static int collect(Dwarf_Attribute *a, void *data) {
        DieFacts *f = data;
        Dwarf_Sword s;

        switch (dwarf_whatattr(a)) {
        case DW_AT_name:
                f->name = dwarf_formstring(a);
                f->damaged |= !f->name;
                break;
        case DW_AT_linkage_name:
        case DW_AT_MIPS_linkage_name:
                f->linkage = dwarf_formstring(a);
                break;
        case DW_AT_type:
                set_attribute(f, a, &f->type, HAS_TYPE);
                break;
        case DW_AT_specification:
                set_attribute(f, a, &f->specification, HAS_SPECIFICATION);
                break;
        case DW_AT_abstract_origin:
                set_attribute(f, a, &f->origin, HAS_ORIGIN);
                break;
        case DW_AT_signature:
                set_attribute(f, a, &f->signature, HAS_SIGNATURE);
                break;
        case DW_AT_import:
                set_attribute(f, a, &f->import, HAS_IMPORT);
                break;
        case DW_AT_location:
                set_attribute(f, a, &f->location, HAS_LOCATION);
                break;
        case DW_AT_data_member_location:
                set_attribute(f, a, &f->member_location, HAS_MEMBER_LOCATION);
                break;
        case DW_AT_byte_size: /* may be an expression (Ada, Fortran): then the size is not fixed */
                if (number(a, &f->byte_size))
                        f->has |= HAS_BYTE_SIZE;
                break;
        case DW_AT_bit_size:
                set_number(f, a, &f->bit_size, HAS_BIT_SIZE);
                break;
        case DW_AT_bit_offset:
                set_number(f, a, &f->bit_offset, HAS_BIT_OFFSET);
                break;
        case DW_AT_data_bit_offset:
                set_number(f, a, &f->data_bit_offset, HAS_DATA_BIT_OFFSET);
                break;
        case DW_AT_encoding:
                set_number(f, a, &f->encoding, 0);
                break;
        case DW_AT_alignment:
                set_number(f, a, &f->alignment, 0);
                break;
        case DW_AT_byte_stride:
        case DW_AT_bit_stride:
                if (!number(a, &f->stride))
                        f->has |= HAS_VARIABLE_BOUND;
                break;
        case DW_AT_upper_bound:
                set_bound(f, a, true);
                break;
        case DW_AT_count:
                set_bound(f, a, false);
                break;
        case DW_AT_const_value:
                f->has |= HAS_CONST_VALUE;
                if (dwarf_formsdata(a, &s) == 0)
                        f->const_value = s;
                break;
        case DW_AT_virtuality: {
                uint64_t v = 0;

                if (number(a, &v))
                        f->virtuality = (uint8_t)v;
                break;
        }
        case DW_AT_vtable_elem_location:
                set_vtable_slot(f, a);
                break;
        case DW_AT_discr_value:
                if (number(a, &f->discriminant))
                        f->has |= HAS_DISCRIMINANT;
                break;
        case DW_AT_declaration:
                set_flag(f, a, &f->declaration);
                break;
        case DW_AT_external:
                set_flag(f, a, &f->external);
                break;
        case DW_AT_artificial:
                set_flag(f, a, &f->artificial);
                break;
        case DW_AT_low_pc:
        case DW_AT_ranges:
                f->has |= HAS_CODE;
                break;
        case DW_AT_language:
                (void)number(a, &f->language);
                break;
        case DW_AT_GNU_dwo_name:
        case DW_AT_dwo_name:
                f->has |= HAS_DWO;
                break;
        default:
                break;
        }
        return DWARF_CB_OK;
}

void die_facts(Dwarf_Die *die, DieFacts *f) {
        *f = (DieFacts){ .tag = dwarf_tag(die) };
        if (f->tag == DW_TAG_invalid || dwarf_getattrs(die, collect, f, 0) < 0)
                f->damaged = true;
}

bool die_follow(const Dwarf_Attribute *reference, Dwarf_Die *out) {
        Dwarf_Attribute a = *reference;

        return dwarf_formref_die(&a, out) != NULL;
}

bool die_next(Dwarf_Die *child, bool *damaged) {
        Dwarf_Die next;
        int r = dwarf_siblingof(child, &next);

        if (r != 0) {
                *damaged |= r < 0;
                return false;
        }
        if (next.cu != child->cu || next.addr <= child->addr) {
                *damaged = true;
                return false;
        }
        *child = next;
        return true;
}

bool die_first(Dwarf_Die *parent, Dwarf_Die *child, bool *damaged) {
        Dwarf_Die first;
        int r = dwarf_child(parent, &first);

        if (r != 0) {
                *damaged |= r < 0;
                return false;
        }
        *child = first;
        return true;
}

bool die_static_address(const Dwarf_Attribute *location, uint64_t *addr, bool *tls) {
        Dwarf_Attribute a = *location, operand;
        Dwarf_Op *ops;
        size_t n;

        if (dwarf_whatform(&a) == DW_FORM_sec_offset || dwarf_getlocation(&a, &ops, &n) != 0 || n == 0)
                return false;
        *tls = n > 1 && (ops[1].atom == DW_OP_GNU_push_tls_address || ops[1].atom == DW_OP_form_tls_address);
        if (n > 1 + (size_t)*tls)
                return false;
        switch (ops[0].atom) {
        case DW_OP_addr:
                *addr = ops[0].number;
                return true;
        case DW_OP_addrx:
        case DW_OP_GNU_addr_index:
        case DW_OP_constx:
        case DW_OP_GNU_const_index:
                if (dwarf_getlocation_attr(&a, &ops[0], &operand) != 0)
                        return false;
                if (dwarf_whatform(&operand) == DW_FORM_addr || dwarf_whatform(&operand) == DW_FORM_addrx) {
                        Dwarf_Addr v;

                        if (dwarf_formaddr(&operand, &v) != 0)
                                return false;
                        *addr = v;
                        return true;
                }
                return number(&operand, addr);
        case DW_OP_const4u:
        case DW_OP_const8u:
        case DW_OP_constu:
                *addr = ops[0].number;
                return *tls;
        default:
                return false;
        }
}

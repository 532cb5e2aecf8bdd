/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/content.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool content_is_aggregate(int tag) {
        return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type ||
               tag == DW_TAG_interface_type;
}

/*
 * Signed, unsigned and character types of one size hold the same bits, and code that reads them in
 * another way is other code, which the comparison of code sees. A bool is of its own class: what an
 * integer may hold is not all valid in a bool. A float is not an integer.
 */
unsigned content_base_class(uint64_t encoding) {
        switch (encoding) {
        case DW_ATE_signed:
        case DW_ATE_unsigned:
        case DW_ATE_signed_char:
        case DW_ATE_unsigned_char:
        case DW_ATE_UTF:
        case DW_ATE_UCS:
        case DW_ATE_ASCII:
                return DW_ATE_signed;
        default:
                return (unsigned)encoding;
        }
}

static bool unit_of(Side *side, Dwarf_CU *cu, uint32_t *unit) {
        Dwarf_Die die;

        return dwarf_cu_die(cu, &die, NULL, NULL, NULL, NULL, NULL, NULL) &&
               pointer_map_get(&side->unit_of, die.addr, unit);
}

/* Follows a reference. Into another unit (a type unit, a part that dwz made): the unit that refers
 * to it is one that has the type. */
static bool follow(Side *side, const Dwarf_Attribute *reference, Dwarf_Die *out) {
        uint32_t user, used;

        if (!die_follow(reference, out)) {
                side_incomplete(side, "%s: a type refers to debug information that is not there", side->path);
                return false;
        }
        if (out->cu != reference->cu && unit_of(side, reference->cu, &user) &&
            unit_of(side, out->cu, &used) &&
            (!side->edges.n || side->edges.items[side->edges.n - 1].user != user ||
             side->edges.items[side->edges.n - 1].used != used))
                vec_push(&side->edges, (UnitEdge){ user, used });
        return true;
}

/* A declaration that says where its definition is (a type unit's signature). */
static void resolve(Side *side, Dwarf_Die *die, DieFacts *f) {
        Dwarf_Die target;

        if (!(f->has & HAS_SIGNATURE) || !follow(side, &f->signature, &target) || target.addr == die->addr)
                return;
        *die = target;
        die_facts(die, f);
}

Stripped content_strip(Side *side, const Dwarf_Die *type) {
        Stripped s = { .die = *type };

        for (unsigned hop = 0; hop < SIDE_MAX_DEPTH; hop++) {
                Dwarf_Die next;
                DieFacts f;

                s.tag = dwarf_tag(&s.die);
                switch (s.tag) {
                case DW_TAG_const_type:
                        s.constant = true;
                        break;
                case DW_TAG_typedef:
                case DW_TAG_template_alias:
                        s.named = s.die;
                        s.has_named = true;
                        break;
                case DW_TAG_volatile_type:
                case DW_TAG_restrict_type:
                case DW_TAG_atomic_type:
                case DW_TAG_packed_type:
                case DW_TAG_immutable_type:
                case DW_TAG_shared_type:
                        break;
                case DW_TAG_structure_type:
                case DW_TAG_class_type:
                case DW_TAG_union_type:
                case DW_TAG_enumeration_type:
                        die_facts(&s.die, &f);
                        if (f.has & HAS_SIGNATURE)
                                resolve(side, &s.die, &f);
                        return s;
                default:
                        return s;
                }
                if (!side_step(side))
                        break;
                die_facts(&s.die, &f);
                if (!(f.has & HAS_TYPE)) {
                        s.tag = 0;
                        return s;
                }
                if (!follow(side, &f.type, &next)) {
                        s.tag = 0;
                        return s;
                }
                s.die = next;
        }
        side_incomplete(side, "%s: types refer to one another without an end", side->path);
        s.tag = 0;
        return s;
}

Stripped content_strip_attribute(Side *side, const DieFacts *f) {
        Dwarf_Die target;

        if (!(f->has & HAS_TYPE))
                return (Stripped){ .tag = 0 };
        if (!follow(side, &f->type, &target))
                return (Stripped){ .tag = 0 };
        return content_strip(side, &target);
}

static const Name *entry_name(Side *side, const Dwarf_Die *die) {
        Dwarf_Die d = *die;
        TypeEntry *t = side_type(side, &d);

        if (!t->name && t->unit == UINT32_MAX) {
                /* Not walked: in a unit that nothing imports. Its bare name has to do. */
                DieFacts f;

                die_facts(&d, &f);
                if (f.name) {
                        /* Not interned: definitions hang on the table's slots by now. */
                        Name *fresh = arena_new0(side->arena, Name);
                        NameKind kind = f.tag == DW_TAG_union_type         ? NAME_UNION
                                        : f.tag == DW_TAG_enumeration_type ? NAME_ENUM
                                        : f.tag == DW_TAG_typedef          ? NAME_TYPEDEF
                                                                           : NAME_STRUCT;
                        *fresh = (Name){ .text = f.name,
                                         .kind = kind,
                                         .hash = hash_text(hash_number((Hash){ 0 }, kind), f.name) };
                        t->name = fresh;
                }
        }
        return t->name;
}

static Hash shallow_attribute(Side *side, const DieFacts *f, unsigned depth) {
        Stripped s = content_strip_attribute(side, f);

        return content_shallow(side, &s, depth);
}

static Hash subroutine(Side *side, const Dwarf_Die *type, unsigned depth) {
        Dwarf_Die die = *type, child;
        DieFacts f;
        Hash h;
        bool damaged = false;

        die_facts(&die, &f);
        h = hash_hash(hash_number((Hash){ 0 }, 'f'), shallow_attribute(side, &f, depth + 1));
        for (bool more = die_first(&die, &child, &damaged); more; more = die_next(&child, &damaged)) {
                if (!side_step(side))
                        break;
                die_facts(&child, &f);
                if (f.tag == DW_TAG_formal_parameter)
                        h = hash_hash(h, shallow_attribute(side, &f, depth + 1));
                else if (f.tag == DW_TAG_unspecified_parameters)
                        h = hash_number(h, '.');
        }
        return h;
}

Hash content_shallow(Side *side, const Stripped *s, unsigned depth) {
        Dwarf_Die die = s->die;
        const Name *name;
        DieFacts f;

        if (s->tag == 0 || depth > SIDE_MAX_DEPTH || !side_step(side)) {
                if (depth > SIDE_MAX_DEPTH)
                        side_incomplete(side, "%s: types are nested too deeply", side->path);
                return hash_number((Hash){ 0 }, 'v');
        }
        switch (s->tag) {
        case DW_TAG_structure_type:
        case DW_TAG_class_type:
        case DW_TAG_interface_type:
        case DW_TAG_union_type:
        case DW_TAG_enumeration_type:
                name = entry_name(side, &die);
                if (!name && s->has_named)
                        name = entry_name(side, &s->named);
                if (name)
                        return hash_hash(hash_number((Hash){ 0 }, 'n'), name->hash);
                return content_of(side, &die, depth + 1);
        case DW_TAG_pointer_type:
        case DW_TAG_reference_type:
        case DW_TAG_rvalue_reference_type:
                die_facts(&die, &f);
                return hash_hash(hash_number((Hash){ 0 }, 'p'), shallow_attribute(side, &f, depth + 1));
        case DW_TAG_subroutine_type:
                return subroutine(side, &die, depth + 1);
        case DW_TAG_array_type: {
                uint64_t count;
                Stripped element;

                die_facts(&die, &f);
                element = content_strip_attribute(side, &f);
                return hash_hash(
                        hash_hash(hash_number((Hash){ 0 }, 'a'), content_bounds(side, &die, NULL, 0, &count)),
                        content_shallow(side, &element, depth + 1));
        }
        default:
                return content_of(side, &die, depth + 1);
        }
}

Hash content_bounds(Side *side, const Dwarf_Die *array, char *text, size_t size, uint64_t *count) {
        Dwarf_Die die = *array, child;
        bool damaged = false;
        DieFacts f;
        Hash h;
        size_t at = 0;

        die_facts(&die, &f);
        h = hash_number(hash_number((Hash){ 0 }, f.stride), f.has & HAS_VARIABLE_BOUND);
        *count = 1;
        if (size)
                text[0] = 0;
        for (bool more = die_first(&die, &child, &damaged); more; more = die_next(&child, &damaged)) {
                uint64_t n;

                if (!side_step(side))
                        break;
                die_facts(&child, &f);
                if (f.tag != DW_TAG_subrange_type && f.tag != DW_TAG_enumeration_type &&
                    f.tag != DW_TAG_generic_subrange)
                        continue;
                n = f.has & HAS_BOUND ? f.bound : 0;
                h = hash_number(hash_number(h, f.has & (HAS_BOUND | HAS_VARIABLE_BOUND)), n);
                if (__builtin_mul_overflow(*count, n, count))
                        *count = UINT64_MAX;
                if (at < size) {
                        int r = f.has & HAS_BOUND ? snprintf(text + at, size - at, "[%" PRIu64 "]", n)
                                                  : snprintf(text + at, size - at, "[]");
                        at += r > 0 ? (size_t)r : 0;
                }
        }
        return h;
}

static uint64_t member_bit_at(const DieFacts *f, uint64_t type_size, uint64_t *place) {
        Dwarf_Attribute a = f->member_location;
        uint64_t byte = 0;

        if (f->has & HAS_DATA_BIT_OFFSET)
                return f->data_bit_offset;
        if (f->has & HAS_MEMBER_LOCATION) {
                Dwarf_Word w;
                Dwarf_Op *ops;
                size_t n;

                if (dwarf_formudata(&a, &w) == 0) {
                        byte = w;
                } else if (dwarf_getlocation(&a, &ops, &n) == 0) {
                        /* DWARF 2 adds a constant; a virtual base is looked up in the vtable. */
                        if (n == 1 && ops[0].atom == DW_OP_plus_uconst) {
                                byte = ops[0].number;
                        } else {
                                Hash h = { 0 };

                                for (size_t i = 0; i < n; i++)
                                        h = hash_number(hash_number(h, ops[i].atom), ops[i].number);
                                *place = h.low64 | 1;
                        }
                }
        }
        if (f->has & HAS_BIT_OFFSET && f->has & HAS_BIT_SIZE) {
                uint64_t storage = f->has & HAS_BYTE_SIZE ? f->byte_size : type_size;

                /* From the most significant bit of the storage unit to little-endian order. */
                return byte * 8 + storage * 8 - f->bit_offset - f->bit_size;
        }
        return byte * 8;
}

static void add_member(Side *side, const DieFacts *f, MemberKind kind, Members *out) {
        Member m = { .kind = kind, .name = f->name ? f->name : "" };
        uint64_t type_size = 0;

        m.has_type = f->has & HAS_TYPE && follow(side, &f->type, &m.type);
        if (m.has_type && f->has & HAS_BIT_OFFSET && !(f->has & HAS_BYTE_SIZE))
                type_size = content_size(side, &m.type, 0);
        m.bit_at = member_bit_at(f, type_size, &m.place);
        m.bit_size = f->has & HAS_BIT_SIZE ? f->bit_size : 0;
        if (kind == MEMBER_BASE)
                m.place ^= (uint64_t)f->virtuality << 32;
        vec_push(out, m);
}

static void variant_part(Side *side, Dwarf_Die *part, Members *out, unsigned depth);

static void member(Side *side, Dwarf_Die *child, MemberKind kind, Members *out, unsigned depth) {
        DieFacts f;

        switch (dwarf_tag(child)) {
        case DW_TAG_member:
                die_facts(child, &f);
                if (!f.declaration && !(f.external && !(f.has & HAS_MEMBER_LOCATION)))
                        add_member(side, &f, kind, out);
                return;
        case DW_TAG_inheritance:
                die_facts(child, &f);
                add_member(side, &f, MEMBER_BASE, out);
                return;
        case DW_TAG_subprogram:
                die_facts(child, &f);
                /* What the compiler declares by itself (a destructor) is in some units and not in others;
                 * its slot is a base's. */
                if (f.has & HAS_VTABLE_SLOT && !f.artificial)
                        vec_push(out, (Member){ .kind = MEMBER_VIRTUAL,
                                                .bit_at = f.vtable_slot,
                                                .name = f.linkage ? f.linkage
                                                        : f.name  ? f.name
                                                                  : "" });
                return;
        case DW_TAG_variant_part:
                variant_part(side, child, out, depth + 1);
                return;
        default:
                return;
        }
}

static void variant_part(Side *side, Dwarf_Die *part, Members *out, unsigned depth) {
        Dwarf_Die child, inner;
        bool damaged = false;

        if (depth > 8)
                return;
        for (bool more = die_first(part, &child, &damaged); more; more = die_next(&child, &damaged)) {
                size_t from = out->n;
                DieFacts f;

                if (!side_step(side))
                        return;
                die_facts(&child, &f);
                if (f.tag != DW_TAG_variant) {
                        member(side, &child, MEMBER_VARIANT, out, depth);
                        continue;
                }
                for (bool m = die_first(&child, &inner, &damaged); m; m = die_next(&inner, &damaged))
                        member(side, &inner, MEMBER_VARIANT, out, depth);
                for (size_t i = from; i < out->n; i++)
                        out->items[i].place = f.has & HAS_DISCRIMINANT ? f.discriminant * 2 + 1 : 0;
        }
}

void content_members(Side *side, const Dwarf_Die *aggregate, Members *out) {
        Dwarf_Die die = *aggregate, child;
        bool damaged = false;

        for (bool more = die_first(&die, &child, &damaged); more; more = die_next(&child, &damaged)) {
                if (!side_step(side))
                        return;
                member(side, &child, MEMBER_FIELD, out, 0);
        }
        if (damaged)
                side_incomplete(side, "%s: a type is damaged", side->path);
}

void content_enumerators(Side *side, const Dwarf_Die *type, Enumerators *out) {
        Dwarf_Die die = *type, child;
        bool damaged = false;

        for (bool more = die_first(&die, &child, &damaged); more; more = die_next(&child, &damaged)) {
                DieFacts f;

                if (!side_step(side))
                        return;
                die_facts(&child, &f);
                if (f.tag == DW_TAG_enumerator)
                        vec_push(out, (Enumerator){ f.name ? f.name : "", f.const_value });
        }
        if (damaged)
                side_incomplete(side, "%s: an enumeration is damaged", side->path);
}

Hash content_constant(int64_t value) {
        return hash_number(hash_number((Hash){ 0 }, 'k'), (uint64_t)value);
}

static Hash aggregate(Side *side, const Dwarf_Die *die, const DieFacts *f, unsigned depth) {
        Hash h = hash_number(
                hash_number(hash_number((Hash){ 0 }, f->tag == DW_TAG_union_type ? 'u' : 's'), f->byte_size),
                f->alignment);
        Members members = { 0 };

        if (f->declaration) { /* another image's, or another unit's: its definition is compared where it is */
                const Name *name = entry_name(side, die);

                return hash_hash(hash_number(h, 'd'), name ? name->hash : (Hash){ 0 });
        }
        content_members(side, die, &members);
        for (size_t i = 0; i < members.n; i++) {
                const Member *m = &members.items[i];

                h = hash_text(
                        hash_number(hash_number(hash_number(hash_number(h, m->kind), m->bit_at), m->bit_size),
                                    m->place),
                        m->name);
                if (m->has_type)
                        h = hash_hash(h, content_of(side, &m->type, depth + 1));
        }
        vec_free(&members);
        return h;
}

static Hash enumeration(Side *side, const Dwarf_Die *die, const DieFacts *f) {
        Hash h = hash_number(hash_number((Hash){ 0 }, 'e'), f->byte_size);
        Enumerators all = { 0 };

        if (f->declaration) {
                const Name *name = entry_name(side, die);

                return hash_hash(hash_number(h, 'd'), name ? name->hash : (Hash){ 0 });
        }
        content_enumerators(side, die, &all);
        for (size_t i = 0; i < all.n; i++)
                h = hash_number(hash_text(h, all.items[i].name), (uint64_t)all.items[i].value);
        vec_free(&all);
        return h;
}

static Hash compute(Side *side, const Stripped *s, unsigned depth) {
        Dwarf_Die die = s->die;
        DieFacts f;
        Hash h = { 0 };

        die_facts(&die, &f);
        switch (s->tag) {
        case DW_TAG_structure_type:
        case DW_TAG_class_type:
        case DW_TAG_interface_type:
        case DW_TAG_union_type:
                return aggregate(side, &die, &f, depth);
        case DW_TAG_enumeration_type:
                return enumeration(side, &die, &f);
        case DW_TAG_base_type:
                return hash_number(
                        hash_number(hash_number(hash_number(h, 'b'), content_base_class(f.encoding)),
                                    f.byte_size),
                        f.bit_size);
        case DW_TAG_pointer_type:
        case DW_TAG_reference_type:
        case DW_TAG_rvalue_reference_type:
                return hash_hash(hash_number(h, 'p'), shallow_attribute(side, &f, depth + 1));
        case DW_TAG_ptr_to_member_type:
                return hash_hash(hash_number(h, 'm'), shallow_attribute(side, &f, depth + 1));
        case DW_TAG_subroutine_type:
                return subroutine(side, &die, depth + 1);
        case DW_TAG_array_type: {
                Stripped element = content_strip_attribute(side, &f);
                uint64_t count;

                h = hash_hash(hash_number(h, 'a'), content_bounds(side, &die, NULL, 0, &count));
                return hash_hash(h, element.tag ? content_of(side, &element.die, depth + 1) : (Hash){ 0 });
        }
        case DW_TAG_unspecified_type:
        case DW_TAG_string_type:
        case DW_TAG_subrange_type:
        case DW_TAG_set_type:
        case DW_TAG_file_type:
                h = hash_number(hash_number(h, (uint64_t)s->tag), f.byte_size);
                return f.name ? hash_text(h, f.name) : h;
        default:
                side_incomplete(side, "%s: a type of an unknown kind (tag %#x)", side->path,
                                (unsigned)s->tag);
                return hash_number(h, (uint64_t)s->tag);
        }
}

Hash content_of(Side *side, const Dwarf_Die *type, unsigned depth) {
        Stripped s = content_strip(side, type);
        uint32_t i;
        Hash h;

        if (s.tag == 0 || !side_step(side))
                return hash_number((Hash){ 0 }, 'v');
        i = (uint32_t)(side_type(side, &s.die) - side->types.items);
        if (side->types.items[i].state == TYPE_DONE)
                return side->types.items[i].content;
        if (side->types.items[i].state == TYPE_BUSY || depth > SIDE_MAX_DEPTH) {
                side_incomplete(side, "%s: a type contains itself", side->path);
                return hash_number((Hash){ 0 }, 'x');
        }
        side->types.items[i].state = TYPE_BUSY;
        h = compute(side, &s, depth);
        side->types.items[i].content = h;
        side->types.items[i].state = TYPE_DONE;
        return h;
}

void content_mark_named(Side *side, size_t type) {
        TypeEntry t = side->types.items[type];
        Dwarf_Die die = { .addr = t.addr, .cu = t.cu };
        Stripped s = content_strip(side, &die);
        uint32_t i;

        if (s.tag != 0 && pointer_map_get(&side->type_of, s.die.addr, &i) && !side->types.items[i].name)
                side->types.items[i].named_by_typedef = true;
}

/* An object whose type is const at the top, or an array of const elements, is never written. */
static bool is_constant(Side *side, const Dwarf_Die *type) {
        Stripped s = content_strip(side, type);

        for (unsigned i = 0; i < 16 && !s.constant && s.tag == DW_TAG_array_type; i++) {
                DieFacts f;

                die_facts(&s.die, &f);
                s = content_strip_attribute(side, &f);
        }
        return s.constant;
}

void content_variable(Side *side, Variable *v) {
        Dwarf_Die type;
        DieFacts f;

        die_facts(&v->die, &f);
        v->has_type = f.has & HAS_TYPE && follow(side, &f.type, &type);
        if (!v->has_type) {
                side_incomplete(side, "%s: variable %s has no type", side->path, v->name->text);
                return;
        }
        v->constant = is_constant(side, &type);
        v->content = content_of(side, &type, 0);
        v->size = content_size(side, &type, 0);
        v->die = type;
}

uint64_t content_size(Side *side, const Dwarf_Die *type, unsigned depth) {
        Stripped s = content_strip(side, type);
        DieFacts f;
        uint64_t count, size;

        if (s.tag == 0 || depth > SIDE_MAX_DEPTH || !side_step(side))
                return 0;
        die_facts(&s.die, &f);
        if (f.has & HAS_BYTE_SIZE)
                return f.byte_size;
        switch (s.tag) {
        case DW_TAG_pointer_type:
        case DW_TAG_reference_type:
        case DW_TAG_rvalue_reference_type:
                return 8;
        case DW_TAG_array_type: {
                Stripped element = content_strip_attribute(side, &f);

                content_bounds(side, &s.die, NULL, 0, &count);
                size = element.tag ? content_size(side, &element.die, depth + 1) : 0;
                return __builtin_mul_overflow(count, size, &size) ? 0 : size;
        }
        case DW_TAG_enumeration_type:
        case DW_TAG_subrange_type: {
                Stripped base = content_strip_attribute(side, &f);

                return base.tag ? content_size(side, &base.die, depth + 1) : 0;
        }
        default:
                return 0;
        }
}

static void text_of(Side *side, const Dwarf_Die *type, char *out, size_t size, unsigned depth) {
        Dwarf_Die die = *type, next;
        const char *prefix = "";
        const Name *name;
        DieFacts f;
        size_t n;

        die_facts(&die, &f);
        if (f.has & HAS_SIGNATURE)
                resolve(side, &die, &f);
        switch (f.tag) {
        case DW_TAG_structure_type:
                prefix = "struct ";
                break;
        case DW_TAG_class_type:
                prefix = "class ";
                break;
        case DW_TAG_union_type:
                prefix = "union ";
                break;
        case DW_TAG_enumeration_type:
                prefix = "enum ";
                break;
        case DW_TAG_typedef:
        case DW_TAG_base_type:
        case DW_TAG_unspecified_type:
                break;
        case DW_TAG_subroutine_type:
                snprintf(out, size, "function");
                return;
        default:
                if (depth > 20 || !(f.has & HAS_TYPE) || !die_follow(&f.type, &next))
                        snprintf(out, size, "void");
                else
                        text_of(side, &next, out, size, depth + 1);
                n = strlen(out);
                if (f.tag == DW_TAG_array_type && n < size) {
                        uint64_t count;

                        content_bounds(side, &die, out + n, size - n, &count);
                } else if (f.tag == DW_TAG_pointer_type && n + 2 < size) {
                        snprintf(out + n, size - n, "%s", n && out[n - 1] == '*' ? "*" : " *");
                } else if (f.tag == DW_TAG_reference_type && n + 2 < size) {
                        snprintf(out + n, size - n, "&");
                }
                return;
        }
        name = side_type(side, &die)->name;
        if (name) {
                n = (size_t)snprintf(out, size, "%s", prefix);
                name_text(name, out + n, size - n);
        } else {
                snprintf(out, size, "%s%s", prefix, f.name ? f.name : "(anonymous)");
        }
}

const char *content_text(Side *side, const Dwarf_Die *type, char *out, size_t size) {
        text_of(side, type, out, size, 0);
        return out;
}

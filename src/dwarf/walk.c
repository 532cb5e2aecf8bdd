/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/side.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Where the walk is: what a DIE's name is qualified with. */
typedef struct Scope {
        const Name *name;     /* NULL: the top */
        const Name *function; /* not NULL inside a function */
        uint32_t unit;
        unsigned depth;
} Scope;

/* A unit's source file, without the directory it was built in. */
static const Name *unit_name(Side *side, Dwarf_Die *die, const char *name) {
        Dwarf_Attribute a;
        const char *directory = dwarf_formstring(dwarf_attr(die, DW_AT_comp_dir, &a));
        size_t n = directory ? strlen(directory) : 0;

        if (n > 0 && strncmp(name, directory, n) == 0 && name[n] == '/')
                name += n + 1;
        while (name[0] == '.' && name[1] == '/')
                name += 2;
        return side_name(side, NULL, NAME_UNIT, name);
}

static uint32_t unit_index(Side *side, Dwarf_Die *die) {
        uint32_t i;

        if (pointer_map_get(&side->unit_of, die->addr, &i))
                return i;
        i = (uint32_t)side->units.n;
        vec_push(&side->units, (Unit){ .addr = die->addr });
        pointer_map_put(&side->unit_of, die->addr, i);
        return i;
}

static void walk_children(Side *side, Dwarf_Die *parent, const Scope *scope);
static void walk_unit(Side *side, Dwarf_Die *die);

/* The name of the declaration that a definition outside its class or namespace completes. */
static const Name *declared_name(Side *side, const Dwarf_Attribute *reference) {
        Dwarf_Die target;
        uint32_t i;

        if (!die_follow(reference, &target) || !pointer_map_get(&side->type_of, target.addr, &i))
                return NULL;
        return side->types.items[i].name;
}

/* Takes over from the declaration what the definition does not repeat. Two steps: a definition with
 * an abstract origin that has a specification. */
static void inherit(DieFacts *f, Dwarf_Die *typed) {
        DieFacts from = *f;

        for (int hop = 0; hop < 2; hop++) {
                Dwarf_Die target;
                const Dwarf_Attribute *reference = from.has & HAS_SPECIFICATION ? &from.specification
                                                   : from.has & HAS_ORIGIN      ? &from.origin
                                                                                : NULL;

                if (!reference || !die_follow(reference, &target))
                        return;
                die_facts(&target, &from);
                if (!f->name)
                        f->name = from.name;
                if (!f->linkage)
                        f->linkage = from.linkage;
                f->external |= from.external;
                f->artificial |= from.artificial;
                if (!(f->has & HAS_TYPE) && from.has & HAS_TYPE) {
                        f->type = from.type;
                        f->has |= HAS_TYPE;
                        *typed = target;
                }
        }
}

static NameKind name_kind(int tag) {
        switch (tag) {
        case DW_TAG_union_type:
                return NAME_UNION;
        case DW_TAG_enumeration_type:
                return NAME_ENUM;
        case DW_TAG_typedef:
        case DW_TAG_template_alias:
                return NAME_TYPEDEF;
        default:
                return NAME_STRUCT;
        }
}

static void walk_type(Side *side, Dwarf_Die *die, DieFacts *f, const Scope *scope) {
        const Name *name = NULL;
        TypeEntry *t;
        bool aggregate = f->tag != DW_TAG_typedef && f->tag != DW_TAG_template_alias &&
                         f->tag != DW_TAG_enumeration_type;

        /* What completes a declaration belongs where that is, even when it repeats the bare name. */
        if (f->has & HAS_SPECIFICATION)
                name = declared_name(side, &f->specification);
        if (!name && f->name)
                name = side_name(side, scope->name, name_kind(f->tag), f->name);
        t = side_type(side, die);
        t->name = name;
        t->unit = scope->unit;
        t->listed = name && !f->declaration && !(f->has & HAS_SIGNATURE);
        if (f->tag == DW_TAG_enumeration_type && !name && !f->declaration)
                vec_push(&side->anonymous_enums,
                         (AnonymousEnum){ scope->name, (uint32_t)(t - side->types.items) });
        if (aggregate && dwarf_haschildren(die) > 0) {
                Scope inside = *scope;

                inside.name = name ? name : side_name(side, scope->name, NAME_STRUCT, "(anonymous)");
                inside.depth++;
                walk_children(side, die, &inside);
        }
}

static void walk_function(Side *side, Dwarf_Die *die, DieFacts *f, const Scope *scope) {
        Scope inside = *scope;
        Dwarf_Die unused;
        Dwarf_Addr lo = 0, hi = 0;
        const char *text;

        if (f->declaration)
                return;
        inherit(f, &unused);
        text = f->linkage ? f->linkage : f->name;
        if (!text)
                return;
        if (side->want_functions && f->has & HAS_CODE && dwarf_lowpc(die, &lo) == 0 &&
            dwarf_highpc(die, &hi) == 0 && hi > lo)
                vec_push(&side->functions, (Function){ f->name ? f->name : text, f->linkage,
                                                       side->units.items[scope->unit].name, lo, hi - lo });
        /* A function's name stands for all that is in it; a linkage name is qualified already. */
        inside.name = inside.function = side_name(side, f->linkage ? NULL : scope->name, NAME_FUNCTION, text);
        inside.depth++;
        walk_children(side, die, &inside);
}

static void walk_variable(Side *side, Dwarf_Die *die, DieFacts *f, const Scope *scope) {
        const Name *unit = side->units.items[scope->unit].name;
        Dwarf_Die typed = *die;
        Variable v = { .unit = unit, .scope = scope->name };
        const Dwarf_Attribute *declared;

        if (!(f->has & HAS_LOCATION)) {
                /* A declaration that a definition elsewhere may refer to for its name. */
                if (f->name && !scope->function)
                        side_type(side, die)->name = side_name(side, scope->name, NAME_VARIABLE, f->name);
                return;
        }
        /* Otherwise: a local on a stack or in registers, or a static that was split into pieces. */
        v.has_address = die_static_address(&f->location, &v.addr, &v.tls);
        if (!v.has_address && scope->function)
                return;
        declared = f->has & HAS_SPECIFICATION ? &f->specification : f->has & HAS_ORIGIN ? &f->origin : NULL;
        v.has_declared = declared && die_follow(declared, &v.declared);
        inherit(f, &typed);
        if (!f->name || f->artificial)
                return;
        v.text = f->name;
        v.external = f->external;
        v.die = typed;
        v.has_type = f->has & HAS_TYPE;
        vec_push(&side->variables, v);
}

/* After the walk, since a definition may come before the declaration that qualifies it. */
static void name_variable(Side *side, Variable *v) {
        const Name *name = NULL, *top, *at, *chain[SIDE_MAX_DEPTH + 8];
        size_t n = 0;
        uint32_t i;

        if (v->has_declared && pointer_map_get(&side->type_of, v->declared.addr, &i))
                name = side->types.items[i].name;
        if (!name)
                name = side_name(side, v->scope, NAME_VARIABLE, v->text);
        for (top = name; top->parent;)
                top = top->parent;
        /* Statics of different files are different variables. */
        if (!v->external && v->unit && top->kind != NAME_UNIT) {
                for (at = name; at && n < sizeof(chain) / sizeof(chain[0]); at = at->parent)
                        chain[n++] = at;
                name = v->unit;
                while (n-- > 0)
                        name = side_name(side, name, chain[n]->kind, chain[n]->text);
        }
        v->name = name;
}

static void walk_import(Side *side, DieFacts *f, const Scope *scope) {
        Dwarf_Die target;

        if (!(f->has & HAS_IMPORT))
                return;
        if (!die_follow(&f->import, &target)) {
                side_incomplete(side,
                                "%s: a part of the debug information is in another file that was not found",
                                side->path);
                return;
        }
        vec_push(&side->edges, (UnitEdge){ scope->unit, unit_index(side, &target) });
        /* The depth guards against units that import one another in a very long chain; a cycle ends
         * because a unit is walked once. */
        if (scope->depth < SIDE_MAX_DEPTH)
                walk_unit(side, &target);
}

static void walk_one(Side *side, Dwarf_Die *die, const Scope *scope) {
        Scope inside = *scope;
        DieFacts f;

        switch (dwarf_tag(die)) {
        case DW_TAG_namespace:
        case DW_TAG_module:
                die_facts(die, &f);
                if (!f.name && f.has & HAS_ORIGIN)
                        return;
                inside.name = side_name(side, scope->name, NAME_NAMESPACE,
                                        f.name ? f.name : "(anonymous namespace)");
                inside.depth++;
                walk_children(side, die, &inside);
                return;
        case DW_TAG_structure_type:
        case DW_TAG_class_type:
        case DW_TAG_interface_type:
        case DW_TAG_union_type:
        case DW_TAG_enumeration_type:
        case DW_TAG_typedef:
        case DW_TAG_template_alias:
                die_facts(die, &f);
                walk_type(side, die, &f, scope);
                return;
        case DW_TAG_subprogram:
                die_facts(die, &f);
                walk_function(side, die, &f, scope);
                return;
        case DW_TAG_lexical_block:
        case DW_TAG_try_block:
        case DW_TAG_catch_block:
                inside.depth++;
                walk_children(side, die, &inside);
                return;
        case DW_TAG_variable:
                die_facts(die, &f);
                walk_variable(side, die, &f, scope);
                return;
        case DW_TAG_member: /* DWARF 4 has static members so */
                if (scope->function)
                        return;
                die_facts(die, &f);
                if (f.declaration && f.name)
                        side_type(side, die)->name = side_name(side, scope->name, NAME_VARIABLE, f.name);
                return;
        case DW_TAG_imported_unit:
                die_facts(die, &f);
                walk_import(side, &f, scope);
                return;
        default:
                return;
        }
}

static void walk_children(Side *side, Dwarf_Die *parent, const Scope *scope) {
        Dwarf_Die child;
        bool damaged = false;

        if (scope->depth > SIDE_MAX_DEPTH) {
                side_incomplete(side, "%s: debug information is nested too deeply", side->path);
                return;
        }
        for (bool more = die_first(parent, &child, &damaged); more; more = die_next(&child, &damaged)) {
                if (!side_step(side))
                        return;
                walk_one(side, &child, scope);
        }
        if (damaged)
                side_incomplete(side, "%s: debug information is damaged at %#" PRIx64, side->path,
                                (uint64_t)dwarf_dieoffset(parent));
}

/* Units that describe code but no types: built with -g1, or for line numbers only. */
static void check_substance(Side *side, Dwarf_Die *die, const DieFacts *f) {
        Dwarf_Attribute a;
        const char *producer = dwarf_formstring(dwarf_attr(die, DW_AT_producer, &a));
        const char *name = f->name ? f->name : "?";
        Dwarf_Die child;
        bool damaged = false;

        if (f->has & HAS_DWO) {
                side_incomplete(side, "%s: debug information is split off into .dwo files", name);
                return;
        }
        if (producer && strstr(producer, " -g1")) {
                side_incomplete(side, "%s: built with -g1, which leaves types out", name);
                return;
        }
        if (!(f->has & HAS_CODE))
                return;
        for (bool more = die_first(die, &child, &damaged); more; more = die_next(&child, &damaged))
                if (dwarf_tag(&child) == DW_TAG_subprogram || dwarf_tag(&child) == DW_TAG_imported_unit ||
                    dwarf_tag(&child) == DW_TAG_namespace || dwarf_tag(&child) == DW_TAG_variable)
                        return;
        /* A unit may describe an empty range. */
        for (ptrdiff_t at = 0;;) {
                Dwarf_Addr base, lo, hi;

                at = dwarf_ranges(die, at, &base, &lo, &hi);
                if (at <= 0)
                        return;
                if (hi > lo) {
                        side_incomplete(side, "%s: describes code but no types", name);
                        return;
                }
        }
}

static void add_ranges(Side *side, Dwarf_Die *die) {
        for (ptrdiff_t at = 0;;) {
                Dwarf_Addr base, lo, hi;

                at = dwarf_ranges(die, at, &base, &lo, &hi);
                if (at <= 0 || !side_step(side))
                        return;
                if (hi > lo)
                        vec_push(&side->ranges, (UnitRange){ lo, hi });
        }
}

static void walk_unit(Side *side, Dwarf_Die *die) {
        static unsigned const MAX_NESTED_UNITS = 64;
        static _Thread_local unsigned nested;
        uint32_t i = unit_index(side, die);
        Scope scope = { .unit = i };
        DieFacts f;

        if (side->units.items[i].walked)
                return;
        if (nested >= MAX_NESTED_UNITS) {
                side_incomplete(side, "%s: units import one another too deeply", side->path);
                return;
        }
        side->units.items[i].walked = true;
        die_facts(die, &f);
        if (f.damaged)
                side_incomplete(side, "%s: a unit is damaged", side->path);
        if (f.tag == DW_TAG_compile_unit || f.tag == DW_TAG_skeleton_unit) {
                if (f.name)
                        side->units.items[i].name = unit_name(side, die, f.name);
                add_ranges(side, die);
                if (f.language == DW_LANG_Mips_Assembler)
                        return;
                check_substance(side, die, &f);
        }
        nested++;
        walk_children(side, die, &scope);
        nested--;
}

void side_walk(Side *side) {
        Dwarf_CU *cu = NULL;
        Dwarf_Die die, sub;
        uint8_t type;
        bool any = false;
        int r;

        for (;;) {
                Dwarf_CU *before = cu;

                r = dwarf_get_units(side->file.dwarf, cu, &cu, NULL, &type, &die, &sub);
                if (r != 0 || cu == before || !side_step(side))
                        break;
                any = true;
                if (type == DW_UT_skeleton)
                        side_incomplete(side, "%s: debug information is split off into .dwo files",
                                        side->path);
                walk_unit(side, &die);
        }
        for (size_t i = 0; i < side->variables.n; i++)
                name_variable(side, &side->variables.items[i]);
        if (r < 0)
                side_incomplete(side, "%s: debug information is damaged: %s", side->path, dwarf_errmsg(-1));
        else if (!any)
                side_incomplete(side, "%s: no debug information", side->path);
}

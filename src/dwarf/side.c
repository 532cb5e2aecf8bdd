/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/side.h"
#include "dwarf/content.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

Hash hash_number(Hash h, uint64_t n) {
        uint64_t in[3] = { h.low64, h.high64, n };

        return XXH3_128bits(in, sizeof(in));
}

Hash hash_text(Hash h, const char *s) {
        return hash_hash(h, XXH3_128bits(s, strlen(s)));
}

static size_t pointer_slot(const PointerMap *m, const void *key) {
        size_t i = ((uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15)) >> 20 & (m->room - 1);

        while (m->slots[i].key && m->slots[i].key != key)
                i = (i + 1) & (m->room - 1);
        return i;
}

bool pointer_map_get(const PointerMap *m, const void *key, uint32_t *value) {
        size_t i;

        if (!m->room)
                return false;
        i = pointer_slot(m, key);
        if (!m->slots[i].key)
                return false;
        *value = m->slots[i].value;
        return true;
}

void pointer_map_put(PointerMap *m, const void *key, uint32_t value) {
        size_t i;

        if (m->n * 2 >= m->room) {
                PointerMap grown = { .room = m->room ? m->room * 2 : 1024 };

                grown.slots = vec_grow(NULL, grown.room, sizeof(*grown.slots));
                memset(grown.slots, 0, grown.room * sizeof(*grown.slots));
                for (size_t j = 0; j < m->room; j++) {
                        if (!m->slots[j].key)
                                continue;
                        grown.slots[pointer_slot(&grown, m->slots[j].key)] = m->slots[j];
                        grown.n++;
                }
                free(m->slots);
                *m = grown;
        }
        i = pointer_slot(m, key);
        m->n += !m->slots[i].key;
        m->slots[i].key = key;
        m->slots[i].value = value;
}

void side_incomplete(Side *side, const char *format, ...) {
        va_list ap;

        if (side->why[0])
                return;
        va_start(ap, format);
        vsnprintf(side->why, sizeof(side->why), format, ap);
        va_end(ap);
}

bool side_step(Side *side) {
        if (side->steps++ < SIDE_MAX_STEPS)
                return true;
        side_incomplete(side, "%s: debug information is larger than the limit", side->path);
        return false;
}

static size_t name_slot(const Side *side, Hash hash) {
        size_t i = hash.low64 & (side->names_room - 1);

        while (side->names[i] && !hash_equal(side->names[i]->hash, hash))
                i = (i + 1) & (side->names_room - 1);
        return i;
}

const Name *side_name(Side *side, const Name *parent, NameKind kind, const char *text) {
        Hash hash = hash_text(hash_number(parent ? parent->hash : (Hash){ 0 }, kind), text);
        Name *name;
        size_t i;

        if (side->n_names * 2 >= side->names_room) {
                size_t room = side->names_room, grown = room ? room * 2 : 4096;
                const Name **old = side->names;

                side->names = vec_grow(NULL, grown, sizeof(*side->names));
                memset(side->names, 0, grown * sizeof(*side->names));
                side->names_room = grown;
                for (size_t j = 0; j < room; j++)
                        if (old[j])
                                side->names[name_slot(side, old[j]->hash)] = old[j];
                free(old);
        }
        i = name_slot(side, hash);
        if (side->names[i])
                return side->names[i];
        name = arena_new0(side->arena, Name);
        *name = (Name){ .parent = parent, .text = text, .kind = kind, .hash = hash };
        side->names[i] = name;
        side->n_names++;
        return name;
}

bool side_has_name(const Side *side, const Name *name) {
        return side->names_room && side->names[name_slot(side, name->hash)];
}

uint32_t side_definitions(const Side *side, const Name *name) {
        return side->names_room && side->definition_of ? side->definition_of[name_slot(side, name->hash)]
                                                       : UINT32_MAX;
}

const char *name_text(const Name *name, char *out, size_t size) {
        const Name *chain[16];
        size_t n = 0, at = 0;

        out[0] = 0;
        for (; name && n < 16; name = name->parent)
                chain[n++] = name;
        while (n-- > 0 && at < size) {
                const char *separator = n == 0 ? "" : chain[n]->kind == NAME_UNIT ? ":" : "::";
                int r = snprintf(out + at, size - at, "%s%s", chain[n]->text, separator);

                if (r < 0)
                        break;
                at += (size_t)r;
        }
        return out;
}

TypeEntry *side_type(Side *side, Dwarf_Die *die) {
        uint32_t i;

        if (!pointer_map_get(&side->type_of, die->addr, &i)) {
                i = (uint32_t)side->types.n;
                vec_push(&side->types, (TypeEntry){ .addr = die->addr,
                                                    .cu = die->cu,
                                                    .unit = UINT32_MAX,
                                                    .tag = (uint16_t)dwarf_tag(die) });
                pointer_map_put(&side->type_of, die->addr, i);
        }
        return &side->types.items[i];
}

static void define(Side *side, const Name *name, Hash content, size_t entry) {
        uint32_t *first = &side->definition_of[name_slot(side, name->hash)];

        for (uint32_t d = *first; d != UINT32_MAX; d = side->definitions.items[d].next)
                if (hash_equal(side->definitions.items[d].content, content))
                        return;
        vec_push(&side->definitions,
                 (Definition){ .name = name, .content = content, .entry = (uint32_t)entry, .next = *first });
        *first = (uint32_t)side->definitions.n - 1;
}

static void each_constant(Side *side, bool add) {
        for (size_t i = 0; i < side->anonymous_enums.n; i++) {
                AnonymousEnum a = side->anonymous_enums.items[i];
                TypeEntry t = side->types.items[a.entry];
                Dwarf_Die die = { .addr = t.addr, .cu = t.cu }, child;
                bool damaged = false;

                if (t.named_by_typedef)
                        continue;
                for (bool more = die_first(&die, &child, &damaged); more; more = die_next(&child, &damaged)) {
                        DieFacts f;
                        const Name *name;

                        die_facts(&child, &f);
                        if (f.tag != DW_TAG_enumerator || !f.name || !side_step(side))
                                continue;
                        name = side_name(side, a.scope, NAME_ENUMERATOR, f.name);
                        if (add)
                                define(side, name, content_constant(f.const_value), a.entry);
                }
        }
}

/* Gives every listed type its content, and joins equal definitions of one name. */
static void side_contents(Side *side) {
        size_t n = side->types.n;

        /* An enum, struct or union without a name that a typedef names is compared as that typedef. */
        for (size_t i = 0; i < n; i++)
                if (side->types.items[i].tag == DW_TAG_typedef)
                        content_mark_named(side, i);
        each_constant(side, false); /* all names must be there before definitions are hung on them */
        side->definition_of = vec_grow(NULL, side->names_room + 1, sizeof(uint32_t));
        memset(side->definition_of, 0xff, side->names_room * sizeof(uint32_t));
        each_constant(side, true);
        for (size_t i = 0; i < n; i++) {
                TypeEntry t = side->types.items[i];
                Dwarf_Die die = { .addr = t.addr, .cu = t.cu };

                if (t.listed && t.name)
                        define(side, t.name, content_of(side, &die, 0), i);
        }
        for (size_t i = 0; i < side->variables.n; i++)
                content_variable(side, &side->variables.items[i]);
}

int side_read(Side *side, const char *path, bool contents, Error *e) {
        int r;

        *side = (Side){ .path = path, .want_functions = !contents };
        side->arena = arena_new();
        r = debug_file_open(path, &side->file, e);
        if (r < 0)
                return r;
        if (r > 0) {
                side_incomplete(side, "%s: no debug information", path);
                return SIDE_NO_DEBUG;
        }
        side_open_alt(side);
        side_walk(side);
        if (contents) {
                side_coverage(side);
                side_contents(side);
        }
        return 0;
}

void side_release(Side *side) {
        vec_free(&side->units);
        vec_free(&side->edges);
        vec_free(&side->types);
        vec_free(&side->anonymous_enums);
        vec_free(&side->variables);
        vec_free(&side->functions);
        vec_free(&side->ranges);
        vec_free(&side->definitions);
        free(side->unit_of.slots);
        free(side->type_of.slots);
        free(side->names);
        free(side->definition_of);
        debug_file_close(&side->file);
        debug_file_close(&side->alt);
        arena_free(side->arena);
        *side = (Side){ 0 };
}

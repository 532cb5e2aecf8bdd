/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/compare.h"

#include "base/macro.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NOTES = 4, MAX_COMPARE_STEPS = 20000000, MAX_COMPARE_DEPTH = 100 };

static __attribute__((format(printf, 3, 4))) void note(Notes *notes, bool own, const char *format, ...) {
        va_list ap;
        int r;

        if (!notes)
                return;
        notes->own |= own;
        if (notes->n >= MAX_NOTES || notes->at + 80 > sizeof(notes->text)) {
                notes->omitted++;
                return;
        }
        if (notes->n++ > 0)
                notes->at += (size_t)snprintf(notes->text + notes->at, sizeof(notes->text) - notes->at, "; ");
        va_start(ap, format);
        r = vsnprintf(notes->text + notes->at, sizeof(notes->text) - notes->at, format, ap);
        va_end(ap);
        if (r > 0)
                notes->at = MIN(notes->at + (size_t)r, sizeof(notes->text) - 1);
}

const char *notes_text(Notes *notes) {
        if (notes->omitted)
                snprintf(notes->text + notes->at, sizeof(notes->text) - notes->at, "; and %zu more",
                         notes->omitted);
        notes->omitted = 0;
        return notes->text;
}

static bool step(Comparison *c) {
        if (c->steps++ < MAX_COMPARE_STEPS)
                return true;
        c->exhausted = true;
        return false;
}

static Pair *pair(Comparison *c, const void *old, const void *new) {
        size_t i;

        if (c->n_pairs * 2 >= c->pairs_room) {
                size_t room = c->pairs_room, grown = room ? room * 2 : 1024;
                Pair *before = c->pairs;

                c->pairs = vec_grow(NULL, grown, sizeof(Pair));
                memset(c->pairs, 0, grown * sizeof(Pair));
                c->pairs_room = grown;
                c->n_pairs = 0;
                for (size_t j = 0; j < room; j++)
                        if (before[j].state != PAIR_FREE)
                                *pair(c, before[j].old, before[j].new) = before[j];
                free(before);
        }
        i = (((uintptr_t)old * UINT64_C(0x9E3779B97F4A7C15)) ^
             ((uintptr_t) new *UINT64_C(0xC2B2AE3D27D4EB4F))) >>
            24;
        for (i &= c->pairs_room - 1; c->pairs[i].state != PAIR_FREE; i = (i + 1) & (c->pairs_room - 1))
                if (c->pairs[i].old == old && c->pairs[i].new == new)
                        return &c->pairs[i];
        c->pairs[i] = (Pair){ .old = old, .new = new, .state = PAIR_UNKNOWN };
        c->n_pairs++;
        return &c->pairs[i];
}

void compare_release(Comparison *c) {
        free(c->pairs);
        c->pairs = NULL;
        c->n_pairs = c->pairs_room = 0;
}

static const char *place_text(uint64_t bits, char out[32]) {
        if (bits % 8)
                snprintf(out, 32, "%" PRIu64 " bit %" PRIu64, bits / 8, bits % 8);
        else
                snprintf(out, 32, "%" PRIu64, bits / 8);
        return out;
}

static const char *member_name(const Member *m) {
        return m->name[0] ? m->name : "(anonymous)";
}

/* Types of members; without a type (a vtable slot) there is nothing to differ. */
static bool member_types(Comparison *c, const Member *old, const Member *new, unsigned depth) {
        if (!old->has_type || !new->has_type)
                return old->has_type == new->has_type;
        return compare_types(c, &old->type, &new->type, NULL, depth + 1);
}

static const char *kind_text(const Member *m) {
        return m->kind == MEMBER_BASE ? "base" : m->kind == MEMBER_VIRTUAL ? "virtual function" : "member";
}

/* A base has no name of its own. */
static void name_bases(Side *side, Members *members) {
        for (size_t i = 0; i < members->n; i++) {
                Member *m = &members->items[i];
                char text[200];

                if (m->kind == MEMBER_BASE && m->has_type)
                        m->name = arena_strdup(side->arena, content_text(side, &m->type, text, sizeof(text)));
        }
}

static bool one_member(Comparison *c, const Member *o, const Member *n, Notes *notes, unsigned depth) {
        char from[32], to[32], old_type[96], new_type[96];
        const char *what = kind_text(o), *name = member_name(o);
        bool same = true;

        if (o->bit_at != n->bit_at) {
                if (o->kind == MEMBER_VIRTUAL)
                        note(notes, true, "%s %s slot %" PRIu64 " -> %" PRIu64, what, name, o->bit_at,
                             n->bit_at);
                else
                        note(notes, true, "%s %s %s -> %s", what, name, place_text(o->bit_at, from),
                             place_text(n->bit_at, to));
                same = false;
        }
        if (o->bit_size != n->bit_size) {
                note(notes, true, "%s %s: %" PRIu64 " -> %" PRIu64 " bits", what, name, o->bit_size,
                     n->bit_size);
                same = false;
        }
        if (o->place != n->place) {
                note(notes, true, "%s %s lies elsewhere", what, name);
                same = false;
        }
        if (!member_types(c, o, n, depth)) {
                content_text(c->old, &o->type, old_type, sizeof(old_type));
                content_text(c->new, &n->type, new_type, sizeof(new_type));
                if (strcmp(old_type, new_type) != 0)
                        note(notes, true, "%s %s: %s -> %s", what, name, old_type, new_type);
                else
                        note(notes, false, "%s %s: %s changed", what, name, old_type);
                same = false;
        }
        return same;
}

static const Member *find_named(const Members *all, const Member *like) {
        if (!like->name[0])
                return NULL;
        for (size_t i = 0; i < all->n; i++)
                if (all->items[i].kind == like->kind && strcmp(all->items[i].name, like->name) == 0)
                        return &all->items[i];
        return NULL;
}

/*
 * Members are paired by name; what is left, by place: a member under another name that lies in the
 * same place with the same type was renamed. Names come first, since two members of one type that
 * change places are a change.
 */
static bool compare_members(Comparison *c, const Dwarf_Die *old, const Dwarf_Die *new, Notes *notes,
                            unsigned depth) {
        Members olds = { 0 }, news = { 0 };
        _cleanup_(freep) bool *taken = NULL;
        bool same = true;

        content_members(c->old, old, &olds);
        content_members(c->new, new, &news);
        name_bases(c->old, &olds);
        name_bases(c->new, &news);
        taken = vec_grow(NULL, news.n + 1, sizeof(bool));
        memset(taken, 0, (news.n + 1) * sizeof(bool));
        for (size_t i = 0; i < olds.n; i++) {
                const Member *o = &olds.items[i], *n = find_named(&news, o);

                if (!step(c))
                        same = false;
                if (!n) {
                        for (size_t j = 0; j < news.n && !n; j++) {
                                const Member *candidate = &news.items[j];

                                if (!taken[j] && candidate->kind == o->kind && o->kind != MEMBER_VIRTUAL &&
                                    candidate->bit_at == o->bit_at && candidate->bit_size == o->bit_size &&
                                    candidate->place == o->place && !find_named(&olds, candidate) &&
                                    (!(o->name[0] || candidate->name[0]) ||
                                     member_types(c, o, candidate, depth)))
                                        n = candidate;
                        }
                }
                if (!n) {
                        note(notes, true, "%s %s removed", kind_text(o), member_name(o));
                        same = false;
                        continue;
                }
                taken[n - news.items] = true;
                same &= one_member(c, o, n, notes, depth);
        }
        for (size_t j = 0; j < news.n; j++) {
                const Member *n = &news.items[j];
                char at[32];

                if (taken[j])
                        continue;
                same = false;
                if (n->kind == MEMBER_VIRTUAL)
                        note(notes, true, "virtual function %s added at slot %" PRIu64, n->name, n->bit_at);
                else
                        note(notes, true, "%s %s added at %s", kind_text(n), member_name(n),
                             place_text(n->bit_at, at));
        }
        vec_free(&olds);
        vec_free(&news);
        return same;
}

static int by_name(const void *a, const void *b) {
        return strcmp(((const Enumerator *)a)->name, ((const Enumerator *)b)->name);
}

/* Enumerators may come; one that is there keeps its value; one that goes must go on under another name. */
static bool compare_enums(Comparison *c, const Dwarf_Die *old, const Dwarf_Die *new, Notes *notes) {
        Enumerators olds = { 0 }, news = { 0 };
        bool same = true;

        content_enumerators(c->old, old, &olds);
        content_enumerators(c->new, new, &news);
        if (olds.n)
                qsort(olds.items, olds.n, sizeof(Enumerator), by_name);
        if (news.n)
                qsort(news.items, news.n, sizeof(Enumerator), by_name);
        for (size_t i = 0; i < olds.n && step(c); i++) {
                const Enumerator *o = &olds.items[i];
                const Enumerator *n =
                        news.n ? bsearch(o, news.items, news.n, sizeof(Enumerator), by_name) : NULL;

                if (n && n->value == o->value)
                        continue;
                if (n) {
                        note(notes, true, "enumerator %s: %" PRId64 " -> %" PRId64, o->name, o->value,
                             n->value);
                        same = false;
                        continue;
                }
                for (size_t j = 0; j < news.n && !n; j++)
                        if (news.items[j].value == o->value && step(c) &&
                            !bsearch(&news.items[j], olds.items, olds.n, sizeof(Enumerator), by_name))
                                n = &news.items[j];
                if (!n) {
                        note(notes, true, "enumerator %s (%" PRId64 ") removed", o->name, o->value);
                        same = false;
                }
        }
        vec_free(&olds);
        vec_free(&news);
        return same && !c->exhausted;
}

static bool is_integer(Side *side, const Stripped *s, uint64_t *size) {
        Dwarf_Die die = s->die;
        DieFacts f;

        die_facts(&die, &f);
        *size = content_size(side, &s->die, 0);
        return s->tag == DW_TAG_enumeration_type ||
               (s->tag == DW_TAG_base_type && content_base_class(f.encoding) == DW_ATE_signed);
}

/* What a bool holds is valid in an integer of its size; the other way round it is not. */
static bool bool_to_integer(Comparison *c, const Stripped *o, const Stripped *n) {
        Dwarf_Die die = o->die;
        uint64_t size;
        DieFacts f;

        die_facts(&die, &f);
        return o->tag == DW_TAG_base_type && f.encoding == DW_ATE_boolean && is_integer(c->new, n, &size) &&
               size == f.byte_size;
}

static bool compare_arrays(Comparison *c, const Stripped *o, const Stripped *n, Notes *notes,
                           unsigned depth) {
        char from[64], to[64];
        uint64_t old_count, new_count;
        Dwarf_Die old = o->die, new = n->die;
        Stripped old_element, new_element;
        DieFacts f;
        bool same = true;

        if (!hash_equal(content_bounds(c->old, &old, from, sizeof(from), &old_count),
                        content_bounds(c->new, &new, to, sizeof(to), &new_count))) {
                note(notes, true, "bound %s -> %s", from, to);
                same = false;
        }
        die_facts(&old, &f);
        old_element = content_strip_attribute(c->old, &f);
        die_facts(&new, &f);
        new_element = content_strip_attribute(c->new, &f);
        if (!old_element.tag || !new_element.tag)
                return same && old_element.tag == new_element.tag;
        return compare_types(c, &old_element.die, &new_element.die, notes, depth + 1) && same;
}

static int tag_class(int tag) {
        return tag == DW_TAG_class_type || tag == DW_TAG_interface_type ? DW_TAG_structure_type : tag;
}

static bool compare_stripped(Comparison *c, const Stripped *o, const Stripped *n, Notes *notes,
                             unsigned depth) {
        Dwarf_Die old = o->die, new = n->die;
        char old_text[128], new_text[128];
        uint64_t old_size, new_size;
        DieFacts of, nf;
        bool same = true;

        if (bool_to_integer(c, o, n))
                return true;
        if (tag_class(o->tag) != tag_class(n->tag)) {
                if (o->tag && n->tag && is_integer(c->old, o, &old_size) &&
                    is_integer(c->new, n, &new_size) && old_size == new_size)
                        return true;
                note(notes, true, "%s -> %s", content_text(c->old, &old, old_text, sizeof(old_text)),
                     content_text(c->new, &new, new_text, sizeof(new_text)));
                return false;
        }
        die_facts(&old, &of);
        die_facts(&new, &nf);
        if (content_is_aggregate(o->tag) || o->tag == DW_TAG_enumeration_type) {
                if (of.declaration || nf.declaration) { /* equal names have equal contents */
                        note(notes, true, "only declared in one build");
                        return false;
                }
                if (of.byte_size != nf.byte_size) {
                        note(notes, true, "size %" PRIu64 " -> %" PRIu64, of.byte_size, nf.byte_size);
                        same = false;
                }
                if (of.alignment != nf.alignment) {
                        note(notes, true, "alignment %" PRIu64 " -> %" PRIu64, of.alignment, nf.alignment);
                        same = false;
                }
                return (o->tag == DW_TAG_enumeration_type ? compare_enums(c, &old, &new, notes)
                                                          : compare_members(c, &old, &new, notes, depth)) &&
                       same;
        }
        if (o->tag == DW_TAG_array_type)
                return compare_arrays(c, o, n, notes, depth);
        content_text(c->old, &old, old_text, sizeof(old_text));
        content_text(c->new, &new, new_text, sizeof(new_text));
        if (strcmp(old_text, new_text) != 0)
                note(notes, true, "%s -> %s", old_text, new_text);
        else
                note(notes, true, "%s changed", old_text);
        return false;
}

bool compare_types(Comparison *c, const Dwarf_Die *old, const Dwarf_Die *new, Notes *notes, unsigned depth) {
        Stripped o, n;
        PairState known;
        bool same;

        if (!step(c) || depth > MAX_COMPARE_DEPTH)
                return false;
        if (hash_equal(content_of(c->old, old, 0), content_of(c->new, new, 0)))
                return true;
        o = content_strip(c->old, old);
        n = content_strip(c->new, new);
        if (!o.tag || !n.tag) {
                if (o.tag != n.tag)
                        note(notes, true, "%s void", o.tag ? "became" : "was");
                return o.tag == n.tag;
        }
        known = pair(c, o.die.addr, n.die.addr)->state;
        if (known == PAIR_SAME || (known == PAIR_DIFFERENT && !notes))
                return known == PAIR_SAME;
        same = compare_stripped(c, &o, &n, notes, depth);
        pair(c, o.die.addr, n.die.addr)->state = same ? PAIR_SAME : PAIR_DIFFERENT;
        return same;
}

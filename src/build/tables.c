/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/objects.h"

#include <elf.h>
#include <string.h>

/*
 * Tables that are constant once they are relocated (.data.rel.ro), and differ. Where nothing but
 * code refers to such a table, and it leads to constants only, the functions that use it are carried
 * and use the new one, which the patch brings along; what the process keeps of the old one stays
 * valid, since the old one stays. A table that data points to, or that holds functions (a vtable: the
 * objects that exist would go on with the old one), cannot be exchanged in that way.
 */

/* In a program at a fixed address the words of its data are relocated when it is linked. One that lies
 * inside the image is an address; then it is compared by what it leads to, whatever its number. */
static bool words_same(Diff *d, uint64_t old, uint64_t new, const uint8_t *a, const uint8_t *b,
                       uint64_t size) {
        const Image *o = d->old_image, *n = d->new_image;
        uint64_t at = 0;

        if (o->type != ET_EXEC || n->type != ET_EXEC || (old ^ new) % 8)
                return memcmp(a, b, size) == 0;
        for (; at < size && (old + at) % 8; at++)
                if (a[at] != b[at])
                        return false;
        for (; at + 8 <= size; at += 8) {
                uint64_t v, w;
                bool here, there;

                memcpy(&v, a + at, sizeof(v));
                memcpy(&w, b + at, sizeof(w));
                here = v >= o->lo && v < o->hi;
                there = w >= n->lo && w < n->hi;
                if (here && there) {
                        ImageReloc r = { .type = R_X86_64_RELATIVE, .addend = (int64_t)v }, s = r;

                        s.addend = (int64_t)w;
                        if (!relocs_same(d, &r, &s))
                                return false;
                } else if (v != w) {
                        return false;
                }
        }
        return memcmp(a + at, b + at, size - at) == 0;
}

bool object_same(Diff *d, uint64_t old, uint64_t new, uint64_t size, const char **what) {
        const uint8_t *a = image_bytes(d->old_image, old, size), *b = image_bytes(d->new_image, new, size);
        size_t i = image_reloc_from(d->old_image, old), k = image_reloc_from(d->new_image, new);
        uint64_t at = 0;

        if (!a || !b) {
                *what = "moved between initialised and zero data";
                return a == b;
        }
        while (at < size) {
                const ImageReloc *r = i < d->old_image->n_relocs && d->old_image->relocs[i].addr < old + size
                                              ? &d->old_image->relocs[i]
                                              : NULL;
                const ImageReloc *s = k < d->new_image->n_relocs && d->new_image->relocs[k].addr < new + size
                                              ? &d->new_image->relocs[k]
                                              : NULL;
                uint64_t next = r ? r->addr - old : size;

                if ((r == NULL) != (s == NULL) || (r && r->addr - old != s->addr - new)) {
                        *what = "a word is a pointer in one build only";
                        return false;
                }
                if (!words_same(d, old + at, new + at, a + at, b + at, next - at)) {
                        *what = "its bytes differ";
                        return false;
                }
                if (!r)
                        break;
                if (!relocs_same(d, r, s)) {
                        *what = arena_printf(d->arena, "the pointer at offset %llu differs",
                                             (unsigned long long)next);
                        return false;
                }
                at = MIN(next + 8, size);
                i++, k++;
        }
        return true;
}

/* True when a relocated word, or another image by name, may lead into [addr, addr + size). */
static bool pointed_at(const Image *image, uint64_t addr, uint64_t size) {
        for (size_t i = 0; i < image->n_relocs; i++)
                if (image->relocs[i].symbol == 0 && (uint64_t)image->relocs[i].addend - addr < size)
                        return true;
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (image->dynsyms[i].defined && image->dynsyms[i].addr - addr < size)
                        return true;
        return false;
}

/* clang leads to tables, too, by tables of 4-byte distances among the constants: no relocation tells. */
static bool led_to(const Code *code, uint64_t addr, uint64_t size) {
        for (size_t i = 0; i < code->n_targets; i++) {
                uint64_t from = code->targets[i], extent;
                const ImageSection *s = image_section_at(code->image, from);
                const uint8_t *b;

                if (!s || from % 4 || (s->flags & (SHF_EXECINSTR | SHF_WRITE)))
                        continue;
                extent = const_extent(code, from);
                b = image_bytes(code->image, from, extent);
                for (uint64_t at = 0; b && at + 4 <= extent; at += 4) {
                        int32_t v;

                        memcpy(&v, b + at, sizeof(v));
                        if (from + (uint64_t)(int64_t)v - addr < size)
                                return true;
                        if (!image_section_at(code->image, from + (uint64_t)(int64_t)v))
                                break; /* no such table, or its end */
                }
        }
        return false;
}

const ConstTable *table_at(const Diff *d, uint64_t new) {
        for (size_t i = 0; i < d->n_tables; i++)
                if (new - d->tables[i].new < d->tables[i].size)
                        return &d->tables[i];
        return NULL;
}

static void carry(Diff *d, Match *m) {
        m->kind = MATCH_CARRIED;
        m->why = "a table that it uses changed";
        d->n_identical--;
        d->n_carried++;
}

/* Adds a range to the exchanged tables, and joins those that it overlaps: their words have been looked at. */
static void add_table(Diff *d, uint64_t new, uint64_t size) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_tables; i++) {
                const ConstTable *t = &d->tables[i];
                uint64_t end = MAX(new + size, t->new + t->size);

                if (t->new >= new + size || new >= t->new + t->size) {
                        d->tables[n++] = *t;
                        continue;
                }
                new = MIN(new, t->new);
                size = end - new;
        }
        d->tables[n] = (ConstTable){ new, size };
        d->n_tables = n + 1;
}

/* Marks the users of a table; true when every reference to it is code's. */
static bool exchange(Diff *d, uint64_t old, uint64_t n_old, uint64_t new, uint64_t n_new) {
        if (pointed_at(d->old_image, old, n_old) || pointed_at(d->new_image, new, n_new) ||
            led_to(d->old, old, n_old) || led_to(d->new, new, n_new) ||
            !object_leads_to_constants(d->old, old, n_old) || !object_leads_to_constants(d->new, new, n_new))
                return false;
        for (size_t i = 0; i < d->new->n_refs; i++) {
                const Ref *r = &d->new->refs[i];
                Match *m = &d->matches[d->new_match[r->function]];

                if (r->target - new < n_new && m->kind == MATCH_IDENTICAL)
                        carry(d, m);
        }
        add_table(d, new, n_new);
        return true;
}

/* A patch that only rewrites words needs a function that it replaces: the smallest one that uses the table.
 */
static void carry_one_user(Diff *d, uint64_t new, uint64_t size) {
        const Function *best = NULL;

        for (size_t i = 0; i < d->new->n_refs; i++) {
                const Function *g = &d->new->functions[d->new->refs[i].function];

                if (d->new->refs[i].target - new < size && !g->uncovered &&
                    d->matches[d->new_match[g - d->new->functions]].kind == MATCH_IDENTICAL &&
                    (!best || g->total_size < best->total_size))
                        best = g;
        }
        if (best)
                carry(d, &d->matches[d->new_match[best - d->new->functions]]);
}

/* Old code takes the address of a function by itself: it may compare it with what a table holds. */
static bool address_taken(const Code *code, uint64_t addr) {
        size_t n;
        const uint32_t *refs = code_refs_to(code, addr, &n);

        for (size_t i = 0; i < n; i++)
                if (takes_address(&code->refs[refs[i]]))
                        return true;
        return false;
}

static bool is_text(const Image *image, uint64_t addr) {
        const ImageSection *s = image_section_at(image, addr);
        const uint8_t *b = s ? image_bytes(image, addr, s->addr + s->size - addr) : NULL;
        uint64_t n = b ? strnlen((const char *)b, s->addr + s->size - addr) : 0;

        return n > 0 && n < s->addr + s->size - addr && constant_is_text(image, addr, n + 1);
}

/* A word that may be rewritten: from text to text, or from a function to one that was added. */
static bool may_rewrite(const Diff *d, const ImageReloc *r, const ImageReloc *s) {
        uint64_t from = (uint64_t)r->addend, to = (uint64_t)s->addend;
        Place p, q;

        if (r->type != R_X86_64_RELATIVE || s->type != R_X86_64_RELATIVE)
                return false;
        p = place_of(d->old, from);
        q = place_of(d->new, to);
        if (p.kind != q.kind)
                return false;
        if (p.kind == PLACE_CONST)
                return is_text(d->old_image, from) && is_text(d->new_image, to);
        return p.kind == PLACE_FUNCTION && p.part == 0 && p.offset == 0 && q.part == 0 && q.offset == 0 &&
               d->matches[d->new_match[q.index]].kind == MATCH_ADDED && !address_taken(d->old, from);
}

static bool in_table_section(const Image *image, uint64_t addr) {
        const ImageSection *s = image_section_at(image, addr);

        return s && strncmp(s->name, ".data.rel.ro", 12) == 0;
}

/* Rewrites the words of a table that keeps its address (docs/safety.md, claim 31); false when it differs in
 * anything else. */
static bool rewrite(Diff *d, uint64_t old, uint64_t new, uint64_t size) {
        const uint8_t *a = image_bytes(d->old_image, old, size), *b = image_bytes(d->new_image, new, size);
        size_t i = image_reloc_from(d->old_image, old), k = image_reloc_from(d->new_image, new),
               before = d->n_words;
        uint64_t at = 0;

        if (!a || !b || old % 8 != new % 8 || !in_table_section(d->old_image, old) ||
            !in_table_section(d->new_image, new))
                return false;
        for (;; i++, k++) {
                const ImageReloc *r = i < d->old_image->n_relocs && d->old_image->relocs[i].addr < old + size
                                              ? &d->old_image->relocs[i]
                                              : NULL;
                const ImageReloc *s = k < d->new_image->n_relocs && d->new_image->relocs[k].addr < new + size
                                              ? &d->new_image->relocs[k]
                                              : NULL;
                uint64_t next = r ? r->addr - old : size;

                if ((r == NULL) != (s == NULL) || (r && r->addr - old != s->addr - new) || next < at ||
                    memcmp(a + at, b + at, next - at) != 0)
                        break;
                if (!r)
                        return true;
                at = MIN(next + 8, size);
                if (relocs_same(d, r, s))
                        continue;
                if (r->addr % 8 || !may_rewrite(d, r, s))
                        break;
                if (d->n_words == d->room_words) {
                        size_t room = d->room_words ? d->room_words * 2 : 16;
                        ConstWord *words = arena_newa(d->arena, ConstWord, room);

                        if (d->n_words)
                                memcpy(words, d->words, d->n_words * sizeof(*words));
                        d->words = words;
                        d->room_words = room;
                }
                d->words[d->n_words++] =
                        (ConstWord){ r->addr, s->addr, (uint64_t)r->addend, (uint64_t)s->addend };
        }
        d->n_words = before;
        return false;
}

/* Tables at the start of a section that nothing but distances leads to are at no place of the map. */
static void compare_hidden(Diff *d) {
        for (size_t i = 0; i < d->new_image->n_sections; i++) {
                const ImageSection *n = &d->new_image->sections[i], *o = image_section(d->old_image, n->name);
                uint64_t n_old, n_new;
                const char *what = "it grew or shrank";

                if (!in_table_section(d->new_image, n->addr) || !n->size || !o || !o->size)
                        continue;
                n_old = is_target(d->old, o->addr) ? 0 : const_extent(d->old, o->addr);
                n_new = is_target(d->new, n->addr) ? 0 : const_extent(d->new, n->addr);
                if (!(n_old && led_to(d->old, o->addr, n_old)) && !(n_new && led_to(d->new, n->addr, n_new)))
                        continue;
                if (n_old == n_new &&
                    (object_same(d, o->addr, n->addr, n_old, &what) || rewrite(d, o->addr, n->addr, n_old)))
                        continue;
                verdict_add(&d->verdict, REFUSAL_CODE_DATA_CONST, data_name(d, n->addr), "%s", what);
        }
}

void exchange_tables(Diff *d) {
        Values *w = NULL;
        size_t n = 0;

        d->tables = arena_newa(d->arena, ConstTable, d->n_map + 1);
        compare_hidden(d);
        for (size_t i = 0; i < d->n_map; i++) {
                const MapEntry *e = &d->map[i];
                Place p, q = place_of(d->new, e->new);
                const char *what = "it grew or shrank";
                uint64_t n_old, n_new, old, new;

                if (e->state != MAP_TESTIFIED || q.kind != PLACE_RELRO || table_at(d, e->new))
                        continue;
                p = place_of(d->old, e->old);
                n_old = const_extent(d->old, e->old);
                n_new = const_extent(d->new, e->new);
                if (p.kind == PLACE_RELRO && object_same(d, e->old, e->new, MIN(n_old, n_new), &what)) {
                        /* Longer by zeros is padding. */
                        const uint8_t *rest =
                                n_new > n_old ? image_bytes(d->new_image, e->new + n_old, n_new - n_old)
                                              : image_bytes(d->old_image, e->old + n_new, n_old - n_new);
                        uint64_t left = n_new > n_old ? n_new - n_old : n_old - n_new;
                        bool zero = rest != NULL || left == 0;

                        for (uint64_t k = 0; zero && k < left; k++)
                                zero = rest[k] == 0;
                        if (zero &&
                            (n_new > n_old ? unrelocated(d->new_image, e->new + n_old, left)
                                           : left == 0 || unrelocated(d->old_image, e->old + n_new, left)))
                                continue;
                        what = "it grew or shrank";
                }
                if (p.kind == PLACE_RELRO && n_old == n_new && rewrite(d, e->old, e->new, n_old)) {
                        if (d->n_changed + d->n_carried == 0)
                                carry_one_user(d, e->new, n_new);
                        continue;
                }
                d->numbers_changed = true;
                object_whole(d, &w, SIDE_OLD, e->old, &old, &n_old);
                object_whole(d, &w, SIDE_NEW, e->new, &new, &n_new);
                if (p.kind != PLACE_RELRO || !exchange(d, old, n_old, new, n_new))
                        verdict_add(&d->verdict, REFUSAL_CODE_DATA_CONST, data_name(d, e->new), "%s", what);
        }
        if (d->n_words && d->n_changed + d->n_carried == 0) {
                verdict_add(&d->verdict, REFUSAL_CODE_DATA_CONST, data_name(d, d->words[0].new),
                            "a pointer in it differs, and no function: there is no place for a patch");
                d->n_words = 0;
        }
        values_free(w);
        /* The map no longer speaks for what was exchanged. */
        for (size_t i = 0; i < d->n_map; i++)
                if (!table_at(d, d->map[i].new))
                        d->map[n++] = d->map[i];
        d->n_map = n;
}

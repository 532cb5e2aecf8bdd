/* SPDX-License-Identifier: Apache-2.0 */
#include "build/passes.h"
#include "base/macro.h"

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
static bool words_same(Diff *d, uint64_t old, uint64_t new, const uint8_t *a, const uint8_t *b, uint64_t size) {
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
                                              ? &d->old_image->relocs[i] : NULL;
                const ImageReloc *s = k < d->new_image->n_relocs && d->new_image->relocs[k].addr < new + size
                                              ? &d->new_image->relocs[k] : NULL;
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
                        *what = arena_printf(d->arena, "the pointer at offset %llu differs", (unsigned long long)next);
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

const ConstTable *table_at(const Diff *d, uint64_t new) {
        for (size_t i = 0; i < d->n_tables; i++)
                if (new - d->tables[i].new < d->tables[i].size)
                        return &d->tables[i];
        return NULL;
}

/* True when the words of the table lead to constants only: no functions (objects keep the address of
 * such a table and call through it), no other tables. */
static bool leads_to_constants(const Code *code, uint64_t addr, uint64_t size) {
        const Image *image = code->image;

        for (size_t i = image_reloc_from(image, addr); i < image->n_relocs && image->relocs[i].addr < addr + size; i++)
                if (image->relocs[i].type != R_X86_64_RELATIVE ||
                    place_of(code, (uint64_t)image->relocs[i].addend).kind != PLACE_CONST)
                        return false;
        return true;
}

/* Marks the users of a table; true when every reference to it is code's. */
static bool exchange(Diff *d, uint64_t old, uint64_t n_old, uint64_t new, uint64_t n_new) {
        if (pointed_at(d->old_image, old, n_old) || pointed_at(d->new_image, new, n_new) ||
            !leads_to_constants(d->old, old, n_old) || !leads_to_constants(d->new, new, n_new))
                return false;
        for (size_t i = 0; i < d->new->n_refs; i++) {
                const Ref *r = &d->new->refs[i];
                Match *m = &d->matches[d->new_match[r->function]];

                if (r->target - new >= n_new || m->kind != MATCH_IDENTICAL)
                        continue;
                m->kind = MATCH_CARRIED;
                m->why = "a table that it uses changed";
                d->n_identical--;
                d->n_carried++;
        }
        d->tables[d->n_tables++] = (ConstTable){ new, n_new };
        return true;
}

/* The object that `addr` lies in: elements that code reads by addresses of their own do not end the table
 * that they are part of, which other code walks through. */
static void whole_object(const Code *code, uint64_t addr, uint64_t *from, uint64_t *size) {
        const ImageSection *s = image_section_at(code->image, addr);
        size_t lo = 0, hi = code->n_targets;
        uint64_t to = addr + const_extent(code, addr);
        unsigned width;

        while (lo < hi) { /* the first target at or above addr */
                size_t mid = lo + (hi - lo) / 2;

                if (code->targets[mid] < addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (*from = addr; lo > 0 && s && code->targets[lo - 1] >= s->addr && accessed_only(code, *from, &width); lo--)
                *from = code->targets[lo - 1];
        while (s && to < s->addr + s->size && accessed_only(code, to, &width))
                to += const_extent(code, to);
        *size = to - *from;
}

void exchange_tables(Diff *d) {
        size_t n = 0;

        d->tables = arena_newa(d->arena, ConstTable, d->n_map + 1);
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
                        const uint8_t *rest = n_new > n_old ? image_bytes(d->new_image, e->new + n_old, n_new - n_old)
                                                            : image_bytes(d->old_image, e->old + n_new, n_old - n_new);
                        uint64_t left = n_new > n_old ? n_new - n_old : n_old - n_new;
                        bool zero = rest != NULL || left == 0;

                        for (uint64_t k = 0; zero && k < left; k++)
                                zero = rest[k] == 0;
                        if (zero && (n_new > n_old ? unrelocated(d->new_image, e->new + n_old, left)
                                                   : left == 0 || unrelocated(d->old_image, e->old + n_new, left)))
                                continue;
                        what = "it grew or shrank";
                }
                d->numbers_changed = true;
                whole_object(d->old, e->old, &old, &n_old);
                whole_object(d->new, e->new, &new, &n_new);
                if (p.kind != PLACE_RELRO || !exchange(d, old, n_old, new, n_new))
                        verdict_add(&d->verdict, REFUSAL_CODE_DATA_CONST, data_name(d, e->new), "%s", what);
        }
        /* The map no longer speaks for what was exchanged. */
        for (size_t i = 0; i < d->n_map; i++)
                if (!table_at(d, d->map[i].new))
                        d->map[n++] = d->map[i];
        d->n_map = n;
}

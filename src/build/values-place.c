/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "build/passes.h"
#include "build/values.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

Values *values_new(const Diff *d) {
        static const Node fixed[ROOT_FIRST];
        Values *w = calloc(1, sizeof(*w));

        if (!w)
                abort();
        w->arena = arena_new();
        w->diff = d;
        w->room = 1 << 13;
        w->nodes = vec_grow(NULL, w->room, sizeof(*w->nodes));
        memcpy(w->nodes, fixed, sizeof(fixed));
        w->n_nodes = ROOT_FIRST;
        w->of[SIDE_OLD] = arena_newa(w->arena, FnValues *, d->old->n_functions + 1);
        w->of[SIDE_NEW] = arena_newa(w->arena, FnValues *, d->new->n_functions + 1);
        w->clobbers[SIDE_OLD] = arena_newa(w->arena, uint16_t, d->old->n_functions + 1);
        w->clobbers[SIDE_NEW] = arena_newa(w->arena, uint16_t, d->new->n_functions + 1);
        return w;
}

Values *values_free(Values *w) {
        if (!w)
                return NULL;
        free(w->nodes);
        free(w->table);
        arena_free(w->arena);
        free(w);
        return NULL;
}

const Diff *values_diff(const Values *w) {
        return w->diff;
}

size_t values_analysed(const Values *w) {
        return w->analysed;
}

const FnValues *values_of(Values *w, Side side, uint32_t function) {
        FnValues **slot = &w->of[side][function];

        if (!*slot) {
                *slot = arena_new0(w->arena, FnValues);
                values_run(w, side, function, *slot);
                w->analysed++;
        }
        return *slot;
}

static int64_t name_hash(const char *name) {
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (const char *p = name; *p; p++)
                h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
        return (int64_t)((h >> 2) | SYMBOL_FUNCTION);
}

uint32_t values_symbol_root(Values *w, const char *name) {
        uint32_t root = node_make(w, &(Node){ .kind = NODE_FUNCTION, .off = name_hash(name) });
        Node *n = &w->nodes[root];

        if (!n->name) {
                n->name = arena_strdup(w->arena, name);
                n->known = known_find(name);
        }
        return root;
}

uint32_t values_function_root(Values *w, Side side, uint32_t function) {
        const Code *code = values_code(w, side);
        int64_t key = function;
        uint32_t root;
        Node *n;

        if (side == SIDE_NEW) {
                uint32_t old = w->diff->matches[w->diff->new_match[function]].old;

                key = old == NO_FUNCTION ? ADDED_FUNCTION | (int64_t)function : (int64_t)old;
        }
        root = node_make(w, &(Node){ .kind = NODE_FUNCTION, .off = key });
        n = &w->nodes[root];
        if (!n->name) {
                n->name = code->functions[function].name;
                n->known = code->functions[function].named ? known_find(n->name) : NULL;
        }
        return root;
}

static const ImageSymbol *defined_symbol(const Image *image, const ImageSymbol *s) {
        return s->defined && s->addr >= image->lo && s->addr < image->hi ? s : NULL;
}

uint32_t values_callee_at(Values *w, Side side, uint64_t addr, uint32_t *target) {
        const Code *code = values_code(w, side);
        const Function *f;
        const ImagePlt *plt = image_plt_at(code->image, addr);

        *target = NO_TARGET;
        if (plt) {
                const ImageSymbol *s =
                        plt->symbol < code->image->n_dynsyms ? &code->image->dynsyms[plt->symbol] : NULL;

                if (!s || plt->symbol == 0)
                        return ROOT_NONE;
                if (!defined_symbol(code->image, s))
                        return values_symbol_root(w, s->name);
                addr = s->addr;
        }
        f = code_function_at(code, addr);
        if (!f || f->addr != addr)
                return ROOT_NONE;
        *target = (uint32_t)(f - code->functions);
        return values_function_root(w, side, *target);
}

static int by_old(const void *x, const void *y) {
        const MapEntry *a = x, *b = y;

        return a->old < b->old ? -1 : a->old > b->old;
}

/* The testified entries of the map by both addresses: at the first use, for most values need none of them. */
static void index_map(Values *w) {
        const Diff *d = w->diff;

        w->by_old = arena_newa(w->arena, MapEntry, d->n_map + 1);
        w->by_new = arena_newa(w->arena, MapEntry, d->n_map + 1);
        for (size_t i = 0; i < d->n_map; i++)
                if (d->map[i].state == MAP_TESTIFIED)
                        w->by_new[w->n_map++] = d->map[i];
        memcpy(w->by_old, w->by_new, w->n_map * sizeof(MapEntry));
        qsort(w->by_old, w->n_map, sizeof(MapEntry), by_old);
}

static size_t first_above(const MapEntry *m, size_t n, uint64_t addr, bool old) {
        size_t lo = 0, hi = n;

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if ((old ? m[mid].old : m[mid].new) <= addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

static const MapEntry *map_exact(const MapEntry *m, size_t n, uint64_t addr, bool old) {
        size_t i = first_above(m, n, addr, old);

        return i && (old ? m[i - 1].old : m[i - 1].new) == addr ? &m[i - 1] : NULL;
}

/*
 * An address of the new image that no evidence names, but that lies between two that are named and
 * are as far apart in the new image as in the old: it is the same distance into the same object (or
 * the padding behind it). When the distance grew, something was put there.
 */
static bool between(const Diff *d, uint64_t addr, uint64_t *old) {
        const MapEntry *below = map_neighbour(d, addr, -1), *above = map_neighbour(d, addr, 1);

        if (!below || !above || above->new - below->new != above->old - below->old)
                return false;
        *old = below->old + (addr - below->new);
        return true;
}

static Value find_place(Values *w, uint64_t addr) {
        const Diff *d = w->diff;
        const ImageSection *section = image_section_at(d->new_image, addr);
        uint64_t old, from, to;

        if (locate_data(d, addr, &old) == MAP_TESTIFIED)
                return (Value){ ROOT_IMAGE, 0, (int64_t)old, 0 };
        if (section && (section->flags & SHF_WRITE) && !added_variable(d, addr, &from, &to) &&
            between(d, addr, &old))
                return (Value){ ROOT_IMAGE, 0, (int64_t)old, 0 };
        return (Value){ node_make(w, &(Node){ .kind = NODE_FRESH_GLOBAL, .off = (int64_t)addr }), 0, 0, 0 };
}

static Value canonical_global(Values *w, Side side, Value v) {
        uint64_t anchor = (uint64_t)w->nodes[v.root].off;
        const Code *code = values_code(w, side);
        const ImageSection *section = image_section_at(code->image, anchor);
        Value place;

        if (section && (section->flags & SHF_EXECINSTR)) {
                uint32_t target, root = values_callee_at(w, side, anchor, &target);

                if (root != ROOT_NONE)
                        return (Value){ root, v.stride, v.off, v.outer };
        }
        if (side == SIDE_OLD)
                return (Value){ ROOT_IMAGE, v.stride, (int64_t)(anchor + (uint64_t)v.off), v.outer };
        if (!w->nodes[v.root].place) {
                place = find_place(w, anchor);
                w->nodes[v.root].place = arena_dup(w->arena, &place, sizeof(place));
        }
        place = *w->nodes[v.root].place;
        /* A place beside the one that is known must not be known to be something else. */
        if (place.root == ROOT_IMAGE && v.off && !v.stride) {
                uint64_t new = anchor + (uint64_t)v.off, old = (uint64_t)(place.off + v.off);
                const MapEntry *there, *back;

                if (!w->by_new)
                        index_map(w);
                there = map_exact(w->by_new, w->n_map, new, false);
                back = map_exact(w->by_old, w->n_map, old, true);
                if ((there && there->old != old) || (!there && back && back->new != new))
                        return (Value){ ROOT_CONFLICT, 0, 0, 0 };
        }
        return (Value){ place.root, v.stride, place.off + v.off, v.outer };
}

Value values_canonical(Values *w, Side side, Value v) {
        if (v.root >= ROOT_FIRST && v.root != (uint32_t)VALUE_UNSET && w->nodes[v.root].kind == NODE_GLOBAL)
                return canonical_global(w, side, v);
        return v;
}

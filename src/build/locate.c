/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/names.h"
#include "build/passes.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <string.h>

/* Finds the old place of new data, from the map, from symbols, or from undisputed neighbours. */

/* The nearest testified entry in the section at or below (side < 0) or above (side > 0) `addr`. */
const MapEntry *map_neighbour(const Diff *d, uint64_t addr, int side) {
        const ImageSection *s = image_section_at(d->new_image, addr);
        size_t lo = 0, hi = d->n_map;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (d->map[mid].new <= addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        if (!s)
                return NULL;
        if (side > 0) {
                for (; lo < d->n_map && d->map[lo].new < s->addr + s->size; lo++)
                        if (d->map[lo].state == MAP_TESTIFIED)
                                return &d->map[lo];
                return NULL;
        }
        while (lo-- > 0 && d->map[lo].new >= s->addr)
                if (d->map[lo].state == MAP_TESTIFIED)
                        return &d->map[lo];
        return NULL;
}

const ImageSymbol *object_at(const Image *image, uint64_t addr) {
        for (int table = 0; table < 2; table++) {
                const ImageSymbol *s = table ? image->syms : image->dynsyms;
                size_t n = table ? image->n_syms : image->n_dynsyms;

                for (size_t i = 0; i < n; i++)
                        if (s[i].defined && s[i].type == STT_OBJECT && addr >= s[i].addr &&
                            addr - s[i].addr < s[i].size)
                                return &s[i];
        }
        return NULL;
}

static const ImageSymbol *object_named(const Image *image, const char *name, uint64_t size) {
        const ImageSymbol *found = NULL;

        for (int table = 0; table < 2; table++) {
                const ImageSymbol *s = table ? image->syms : image->dynsyms;
                size_t n = table ? image->n_syms : image->n_dynsyms;

                for (size_t i = 0; i < n; i++)
                        if (s[i].defined && s[i].type == STT_OBJECT && strcmp(s[i].name, name) == 0) {
                                if (found && found->addr != s[i].addr)
                                        return NULL; /* several of that name */
                                found = &s[i];
                        }
        }
        return found && found->size == size ? found : NULL;
}

/* The old image knows some variable by that name, whatever number the compiler gave it. */
static bool name_known(const Image *image, const char *name) {
        size_t n = names_stem(name);

        for (size_t i = 0; i < image->n_syms; i++)
                if (image->syms[i].type == STT_OBJECT && strncmp(image->syms[i].name, name, n) == 0 &&
                    names_stem(image->syms[i].name) == n)
                        return true;
        return false;
}

const char *data_name(const Diff *d, uint64_t new) {
        const Image *image = d->new_image;
        const ImageSection *s = image_section_at(image, new);

        for (int table = 0; table < 2; table++) {
                const ImageSymbol *y = table ? image->syms : image->dynsyms;
                size_t n = table ? image->n_syms : image->n_dynsyms;

                for (size_t i = 0; i < n; i++)
                        if (y[i].defined && y[i].type == STT_OBJECT &&
                            new >= y[i].addr &&new - y[i].addr < MAX(y[i].size, 1u))
                                return y[i].name;
        }
        return arena_printf(d->arena, "%s+0x%llx", s ? s->name : "?",
                            (unsigned long long)(new - (s ? s->addr : 0)));
}

size_t target_from(const Code *code, uint64_t addr) {
        return addr ? blocks_above(&code->target_blocks, addr - 1) : 0;
}

bool is_target(const Code *code, uint64_t addr) {
        size_t i = target_from(code, addr);

        return i < code->n_targets && code->targets[i] == addr;
}

/* The distance between new and old that the undisputed neighbours on both sides agree on; where
 * there is no neighbour, the section's start or end stands for it. */
static bool neighbours_shift(const Diff *d, uint64_t new, uint64_t *shift) {
        const MapEntry *below = map_neighbour(d, new, -1), *above = map_neighbour(d, new, 1);
        const ImageSection *s = image_section_at(d->new_image, new),
                           *t = s ? image_section(d->old_image, s->name) : NULL;
        uint64_t low, high;

        if (!t)
                return false;
        low = below ? below->new - below->old : s->addr - t->addr;
        high = above ? above->new - above->old : s->addr + s->size - (t->addr + t->size);
        *shift = low;
        return low == high;
}

/* How code uses a place: the instruction and its width. */
typedef struct Use {
        ZydisMnemonic mnemonic;
        unsigned width;
} Use;

static bool use_of(const Code *code, const Ref *r, Use *out) {
        ZydisDecodedInstruction in;
        ZydisDecoder decoder;
        const uint8_t *b = NULL;
        size_t n = ZYDIS_MAX_INSTRUCTION_LENGTH;

        while (n > 0 && !(b = image_bytes(code->image, r->insn, n)))
                n--;
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        if (!b || !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, b, n, &in)))
                return false;
        *out = (Use){ in.mnemonic, in.operand_width };
        return true;
}

/* Some function uses the new place, in one way at least, as its old self used the old one; or data that lies
 * as far apart as the two points to them. */
static bool used_alike(const Diff *d, uint64_t old, uint64_t new) {
        const uint32_t *refs;
        size_t n;

        for (size_t i = 0; i < d->new_image->n_relocs; i++) {
                const ImageReloc *r = &d->new_image->relocs[i], *s;

                if (r->type != R_X86_64_RELATIVE || (uint64_t)r->addend != new)
                        continue;
                s = image_reloc_at(d->old_image, r->addr - (new - old));
                if (s && s->type == r->type && (uint64_t)s->addend == old)
                        return true;
        }
        refs = code_refs_to(d->new, new, &n);
        for (size_t i = 0; i < n; i++) {
                const Ref *b = &d->new->refs[refs[i]];
                const Function *f = match_old(d, &d->matches[d->new_match[b->function]]);
                Use there, here;

                if (!f || !use_of(d->new, b, &there))
                        continue;
                for (uint32_t k = 0; k < f->n_refs; k++) {
                        const Ref *a = &d->old->refs[f->ref + k];

                        if (a->target == old && a->lea == b->lea && use_of(d->old, a, &here) &&
                            here.mnemonic == there.mnemonic && here.width == there.width)
                                return true;
                }
        }
        return false;
}

/* A library's variable of which the linker gave the program a copy: where the old program has its own. */
static MapState locate_copy(const Diff *d, const ImageReloc *copy, uint64_t *old) {
        const Image *o = d->old_image;
        const ImageSymbol *s = &d->new_image->dynsyms[copy->symbol];

        for (size_t i = 0; i < o->n_relocs; i++) {
                const ImageSymbol *t = &o->dynsyms[o->relocs[i].symbol];

                if (o->relocs[i].type == R_X86_64_COPY && strcmp(s->name, t->name) == 0 &&
                    strcmp(s->version, t->version) == 0) {
                        *old = o->relocs[i].addr;
                        return MAP_TESTIFIED;
                }
        }
        return MAP_NONE;
}

MapState locate_data(const Diff *d, uint64_t new, uint64_t *old) {
        const ImageReloc *r = image_reloc_at(d->new_image, new);
        const MapEntry *e = diff_map(d, new);
        const ImageSymbol *s, *t;
        uint64_t shift;

        if (table_at(d, new))
                return MAP_NONE;
        if (r && r->type == R_X86_64_COPY)
                return locate_copy(d, r, old);
        if (e && e->state == MAP_TESTIFIED) {
                *old = e->old;
                return MAP_TESTIFIED;
        }
        s = object_at(d->new_image, new);
        t = s ? object_named(d->old_image, s->name, s->size) : NULL;
        if (t) {
                *old = t->addr + (new - s->addr);
                return MAP_TESTIFIED;
        }
        if (e)
                return MAP_CONFLICT;
        if (s && s->size && d->old_image->n_syms)
                return MAP_NONE; /* it has a name that the old image, which has names, does not know */
        /* Between two undisputed neighbours at the same distance, where old code, too, uses the very place
         * that this distance gives, and in some function as the new code does: what took the place of another
         * is not the other. */
        if (neighbours_shift(d, new, &shift)) {
                uint64_t candidate = new - shift;

                if (is_target(d->old, candidate) && used_alike(d, candidate, new)) {
                        *old = candidate;
                        return MAP_TESTIFIED;
                }
        }
        return MAP_NONE;
}

unsigned access_width(const Code *code, uint64_t insn) {
        ZydisDecoder decoder;
        ZydisDecodedInstruction in;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        const uint8_t *b = NULL;
        size_t n = 15;

        while (n > 0 && !(b = image_bytes(code->image, insn, n)))
                n--;
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        if (!b || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, b, n, &in, operands)))
                return 0;
        for (unsigned i = 0; i < in.operand_count; i++)
                if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                    operands[i].mem.type == ZYDIS_MEMOP_TYPE_MEM &&
                    operands[i].mem.base == ZYDIS_REGISTER_RIP)
                        return operands[i].size / 8;
        return 0;
}

bool accessed_only(const Code *code, uint64_t addr, unsigned *width) {
        size_t n;
        const uint32_t *refs = code_refs_to(code, addr, &n);

        *width = 0;
        for (size_t i = 0; i < n; i++) {
                const Ref *r = &code->refs[refs[i]];
                unsigned w;

                if (r->lea && code->functions[r->function].uncovered)
                        continue; /* start-up code that means the end of what lies before */
                if (r->kind != REF_PCREL || r->lea || (w = access_width(code, r->insn)) == 0)
                        return false;
                *width = MAX(*width, w);
        }
        for (size_t i = 0; i < code->image->n_relocs; i++)
                if (code->image->relocs[i].type == R_X86_64_RELATIVE &&
                    (uint64_t)code->image->relocs[i].addend == addr)
                        return false;
        return *width > 0;
}

bool added_variable(const Diff *d, uint64_t new, uint64_t *from, uint64_t *to) {
        const ImageSection *s = image_section_at(d->new_image, new), *t;
        const MapEntry *below, *above;
        uint64_t old_from, old_to, start, end;
        const ImageSymbol *o;
        unsigned width = 0;

        if (!s)
                return false;
        if (table_at(d, new)) {
                *from = table_at(d, new)->new;
                *to = *from + table_at(d, new)->size;
                return true;
        }
        o = object_at(d->new_image, new);
        if (o && o->size) {
                /* It has a name: then the old image, if it has names at all, must not know it. */
                if (d->old_image->n_syms == 0 || name_known(d->old_image, o->name))
                        return false;
                *from = o->addr;
                *to = o->addr + o->size;
                return true;
        }
        t = image_section(d->old_image, s->name);
        below = map_neighbour(d, new, -1);
        above = map_neighbour(d, new, 1);
        start = below ? below->new : s->addr;
        end = above ? above->new : s->addr + s->size;
        old_from = below ? below->old : t ? t->addr : 0;
        old_to = above ? above->old : t ? t->addr + t->size : 0;
        if (old_to < old_from || end - start <= old_to - old_from)
                return false; /* no room was made for it */
        if (below) {
                /* What lies below must end before. A plain scalar ends with its width. Anything else
                 * ends at the latest where the next old thing begins: should it have grown, what is
                 * new in it is used through pointers (the layout verdict sees that) or, as here, by
                 * its own address alone. */
                if (accessed_only(d->new, below->new, &width))
                        start = below->new + width;
                else
                        start = below->new + const_extent(d->old, below->old);
                if (start > new)
                        return false;
        }
        /* Nothing in the old gap may be a counterpart. */
        for (uint64_t at = code_next_target(d->old, old_from); at < old_to; at = code_next_target(d->old, at))
                return false;
        if (!below && is_target(d->old, old_from) && old_to > old_from)
                return false;
        *from = start;
        *to = end;
        return true;
}

bool relocs_same(Diff *d, const ImageReloc *old, const ImageReloc *new) {
        const Image *o = d->old_image, *n = d->new_image;
        Place p, q;
        uint64_t at;

        if (old->type != new->type || (old->symbol == 0) != (new->symbol == 0))
                return false;
        if (old->symbol)
                return old->addend ==
                               new->addend &&strcmp(o->dynsyms[old->symbol].name,
                                                    n->dynsyms[new->symbol].name) == 0 &&
                       strcmp(o->dynsyms[old->symbol].version, n->dynsyms[new->symbol].version) == 0;
        if (old->type != R_X86_64_RELATIVE && old->type != R_X86_64_IRELATIVE)
                return old->addend == new->addend;
        p = place_of(d->old, (uint64_t)old->addend);
        q = place_of(d->new, (uint64_t) new->addend);
        if (p.kind != q.kind)
                return false;
        switch (p.kind) {
        case PLACE_FUNCTION:
                return d->matches[d->old_match[p.index]].new == q.index &&p.part == q.part &&p.offset ==
                       q.offset;
        case PLACE_CONST:
                if (pointees_same(d, (uint64_t)old->addend, (uint64_t) new->addend))
                        return true;
                if (!versions_alike(d, (uint64_t)old->addend, (uint64_t) new->addend))
                        return false;
                d->versions_left = true;
                return true;
        case PLACE_RELRO:
        case PLACE_DATA:
                return locate_data(d, (uint64_t) new->addend, &at) == MAP_TESTIFIED &&
                       at == (uint64_t)old->addend;
        case PLACE_IMPORT:
        case PLACE_TLS:
                return strcmp(p.name, q.name) == 0;
        case PLACE_POINTER:
        case PLACE_OTHER:
                return p.section && q.section && strcmp(p.section->name, q.section->name) == 0 &&
                       p.offset == q.offset;
        }
        return false;
}

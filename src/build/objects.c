/* SPDX-License-Identifier: Apache-2.0 */
#include "build/objects.h"
#include "base/macro.h"

#include <elf.h>

/*
 * How far a table of pointers goes of which one piece differs. A reference may lead into the middle of a
 * table (compilers take the addresses of elements that are chosen by a condition), and nothing but a symbol
 * tells it from the start of the next one. So whatever lies beside is part of the table, unless it looks like
 * another object and is used as one.
 */

enum { REACH = 4096, STEPS = 16, ALIGN = 16, TERMINATOR = 32 };

bool object_leads_to_constants(const Code *code, uint64_t addr, uint64_t size) {
        const Image *image = code->image;

        for (size_t i = image_reloc_from(image, addr);
             i < image->n_relocs && image->relocs[i].addr < addr + size; i++)
                if (image->relocs[i].type != R_X86_64_RELATIVE ||
                    place_of(code, (uint64_t)image->relocs[i].addend).kind != PLACE_CONST)
                        return false;
        return true;
}

/* Code steps through what begins at that address or, when `given` counts, hands the address on. */
static bool used_as_table(Values *w, Side side, uint64_t addr, bool given) {
        const Code *code = values_code(w, side);
        size_t n_refs;
        const uint32_t *refs = code_refs_to(code, addr, &n_refs);

        for (size_t i = 0; i < n_refs; i++) {
                const Ref *r = &code->refs[refs[i]];
                const FnValues *f;

                if (!takes_address(r))
                        continue;
                f = values_of(w, side, r->function);
                for (size_t k = 0; !f->incomplete && k < f->n_accesses; k++)
                        if (f->accesses[k].at.root == ROOT_IMAGE && f->accesses[k].at.stride &&
                            (uint64_t)f->accesses[k].at.off - addr < f->accesses[k].at.stride)
                                return true;
                for (size_t k = 0; given && !f->incomplete && k < f->n_calls; k++)
                        for (unsigned n = 0; n < VALUES_MAX_ARGS; n++)
                                if (f->calls[k].args[n].root == ROOT_IMAGE && !f->calls[k].args[n].stride &&
                                    (uint64_t)f->calls[k].args[n].off == addr)
                                        return true;
        }
        return false;
}

static bool zeros_before(const Image *image, uint64_t addr, uint64_t n) {
        const uint8_t *b = image_bytes(image, addr - n, n);

        return b && all_zero(b, n) && unrelocated(image, addr - n, n);
}

/* In one image: the address is where an object would begin, and something ends before it. `strong`: by more
 * than one word of zeros, as behind the last element of a table that ends so. */
static bool looks_like_start(const Code *code, uint64_t addr, bool *strong) {
        size_t lo = 0, hi = code->n_targets;
        uint64_t before;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (code->targets[mid] < addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        if (addr % ALIGN || lo == 0)
                return false;
        before = code->targets[lo - 1];
        *strong = zeros_before(code->image, addr, TERMINATOR);
        return zeros_before(code->image, addr, 8) ||
               (!object_leads_to_constants(code, before, addr - before) &&
                object_leads_to_constants(code, addr, const_extent(code, addr)));
}

static bool begins(const Diff *d, Values **w, Side side, uint64_t addr) {
        const ImageSymbol *named = object_at(side == SIDE_OLD ? d->old_image : d->new_image, addr);
        uint64_t old = addr, new = addr;
        bool strong = false, strong_new = false;

        if (named && named->size)
                return true;
        if (side == SIDE_NEW) {
                const MapEntry *e = diff_map(d, addr);

                if (!e || e->state != MAP_TESTIFIED)
                        return false;
                old = e->old;
        } else {
                const MapEntry *e = NULL;

                for (size_t i = 0; i < d->n_map && !e; i++)
                        if (d->map[i].state == MAP_TESTIFIED && d->map[i].old == addr)
                                e = &d->map[i];
                if (!e)
                        return false;
                new = e->new;
        }
        if (!looks_like_start(d->old, old, &strong) || !looks_like_start(d->new, new, &strong_new))
                return false;
        if (!*w)
                *w = values_new(d);
        return used_as_table(*w, SIDE_OLD, old, strong && strong_new);
}

void object_whole(const Diff *d, Values **w, Side side, uint64_t addr, uint64_t *from, uint64_t *size) {
        const Code *code = side == SIDE_OLD ? d->old : d->new;
        const ImageSection *s = image_section_at(code->image, addr);
        const ImageSymbol *named = object_at(code->image, addr);
        uint64_t to = addr + const_extent(code, addr), end = to;

        if (named && named->size) {
                *from = named->addr;
                *size = named->size;
                return;
        }
        *from = addr;
        for (unsigned step = 0; s && step < STEPS && !begins(d, w, side, *from); step++) {
                size_t lo = 0, hi = code->n_targets;

                while (lo < hi) { /* the first target at or above */
                        size_t mid = lo + (hi - lo) / 2;

                        if (code->targets[mid] < *from)
                                lo = mid + 1;
                        else
                                hi = mid;
                }
                if (lo == 0 || code->targets[lo - 1] < s->addr || addr - code->targets[lo - 1] > REACH ||
                    ((named = object_at(code->image, code->targets[lo - 1])) && named->size))
                        break;
                *from = code->targets[lo - 1];
        }
        for (unsigned step = 0;
             s && step < STEPS && to < s->addr + s->size && to - end < REACH && !begins(d, w, side, to);
             step++)
                to += const_extent(code, to);
        *size = to - *from;
}

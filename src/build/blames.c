/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/correspond-parts.h"
#include "build/passes.h"

#include <stdlib.h>

/*
 * Constants that differ. Nothing tells where one ends but what else is referred to, and such a reference may
 * lead into its middle. So what differs is blamed on what lies before it, too.
 */

static int blame_compare(const void *x, const void *y) {
        const Blame *a = x, *b = y;

        return a->new < b->new ? -1 : a->new > b->new;
}

enum { BLAME_REACH = 4096, BLAME_STEPS = 16 };

/* A jump table as far as the next thing that anything refers to: compilers lay each out as an object of
 * its own, so nothing behind it is its tail. */
static bool whole_jump_table(const Code *code, uint64_t addr, const uint8_t *content, uint64_t extent) {
        const Function *f = code_function_at(code, jump_table_entry(code, addr, 4, 0));
        unsigned size = 4;
        uint32_t n = f ? jump_table(code, f, addr, &size) : 0;

        return n >= 3 && all_zero(content + (uint64_t)n * size, extent - (uint64_t)n * size);
}

/* Some instruction reads what is at that very place: an element of a table of numbers, as a rule. Texts are
 * handed on by their address. */
static bool read_at_once(Work *w, uint64_t addr) {
        const Code *code = w->d->new;
        size_t k;

        if (!w->reads) {
                w->reads = arena_newa(w->d->arena, bool, code->n_targets + 1);
                for (size_t i = 0; i < code->n_refs; i++)
                        if (code->refs[i].kind == REF_PCREL && !code->refs[i].lea) {
                                k = target_from(code, code->refs[i].target);
                                w->reads[k] = w->reads[k] || (k < code->n_targets &&
                                                              code->targets[k] == code->refs[i].target);
                        }
        }
        k = target_from(code, addr);
        return k < code->n_targets && code->targets[k] == addr && w->reads[k];
}

static bool is_text(Work *w, uint64_t addr, uint64_t size) {
        return constant_is_text(w->d->new_image, addr, size) && !read_at_once(w, addr);
}

/* A constant that differs may be the tail of a larger one that begins at an earlier reference: its
 * users are blamed as well, back to a place that a complete string or a jump table separates. */
void blames_widen(Work *w) {
        const Code *code = w->d->new;
        size_t n = w->blames.n;

        for (size_t i = 0; i < n; i++) {
                Blame b = w->blames.items[i];
                size_t lo = target_from(code, b.new);
                const uint8_t *differs = image_bytes(code->image, b.new, b.size);

                if (is_text(w, b.new, b.size) &&
                    !(differs && single_string(differs, b.size) && !lone_text(b.new, differs, b.size)))
                        continue;
                w->d->numbers_changed = true;
                for (unsigned step = 0; step < BLAME_STEPS && lo > 0; step++) {
                        uint64_t at = code->targets[--lo], extent = const_extent(code, at);
                        const uint8_t *content = image_bytes(code->image, at, extent);

                        if (b.new - at > BLAME_REACH || !content || lone_text(at, content, extent) ||
                            whole_jump_table(code, at, content, extent) ||
                            image_section_at(code->image, at) != image_section_at(code->image, b.new))
                                break;
                        vec_push(&w->blames, (Blame){ at, extent });
                }
        }
        if (w->blames.n)
                qsort(w->blames.items, w->blames.n, sizeof(Blame), blame_compare);
        n = 0;
        for (size_t i = 0; i < w->blames.n; i++)
                if (n == 0 || w->blames.items[n - 1].new != w->blames.items[i].new)
                        w->blames.items[n++] = w->blames.items[i];
        w->blames.n = n;
}

/* A text that a reference to its end (an empty string, to a linker) has cut. */
static bool text_begins(const Image *image, uint64_t addr, uint64_t size) {
        const uint8_t *b = image_bytes(image, addr, size + 1);
        uint64_t i = 0;

        while (b && i < size && (b[i] >= 0x20 || (b[i] >= '\t' && b[i] <= '\r')))
                i++;
        return b && i == size && b[size] == 0;
}

/* Who tells where the constant at `new` lies in the old image: code that is the same, if any does. NULL:
 * nobody. */
static const Vote *const_witness(const Work *w, uint64_t new) {
        const Vote *best = NULL;
        size_t lo = 0, hi = w->consts.n;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (w->consts.items[mid].new < new)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (; lo < w->consts.n && w->consts.items[lo].new == new; lo++) {
                best = &w->consts.items[lo];
                if (w->d->matches[best->match].kind != MATCH_CHANGED)
                        break;
        }
        return best;
}

/* Whether the constant may go on up to what begins at `end`: not with a text or a jump table between. */
static bool may_reach(Work *w, uint64_t addr, uint64_t end) {
        const Code *code = w->d->new;

        for (uint64_t at = addr, n; at <= end; at += n) {
                const uint8_t *content;

                n = const_extent(code, at);
                content = image_bytes(code->image, at, n);
                if (!content || is_text(w, at, n) || text_begins(code->image, at, n) ||
                    whole_jump_table(code, at, content, n))
                        return false;
        }
        return true;
}

/*
 * A reference ends a constant, for who compares it, though it may lead into its middle. What lies behind is
 * compared by who has that reference, and blamed on all before it (blames_widen()); but nobody does so where
 * only functions have it that changed or are new. There the bytes are held against what lies at the same
 * distance.
 */
void blames_of_tails(Work *w) {
        const Code *code = w->d->new;

        if (w->consts.n)
                qsort(w->consts.items, w->consts.n, sizeof(Vote), vote_compare);
        for (size_t i = 0; i < w->consts.n; i++) {
                const Vote *v = &w->consts.items[i];
                const ImageSection *s;
                uint64_t extent, at;

                if (i && vote_compare(v, v - 1) == 0)
                        continue; /* said before */
                extent = const_extent(code, v->new);
                at = v->new + extent;
                s = image_section_at(code->image, v->new);
                for (unsigned step = 0;
                     s && step < BLAME_STEPS && at < s->addr + s->size && at - v->new < BLAME_REACH; step++) {
                        uint64_t n = const_extent(code, at), old = v->old + (at - v->new);
                        const Vote *x = const_witness(w, at);

                        if (x && x->old != old && w->d->matches[x->match].kind != MATCH_CHANGED)
                                break; /* an object of its own */
                        if (!constant_bytes_same(w->d, old, at, MIN(n, v->new + BLAME_REACH - at))) {
                                if (may_reach(w, v->new, at))
                                        vec_push(&w->blames, (Blame){ v->new, extent });
                                break;
                        }
                        at += n;
                }
        }
}

bool blamed(const Work *w, uint64_t new) {
        Blame key = { .new = new };

        return w->blames.n && bsearch(&key, w->blames.items, w->blames.n, sizeof(Blame), blame_compare);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"
#include "build/code.h"

#include <elf.h>
#include <string.h>

/* What a text refers to: every place, and by which instructions. */

typedef struct Key {
        uint64_t target;
        uint32_t ref;
} Key;

/* By radix: there are as many references as some tenth of all instructions, and their targets differ in three
 * bytes or so. Equal ones stay in order. */
static void sort_keys(Key *keys, size_t n) {
        enum { DIGIT = 11, RADIX = 1 << DIGIT };
        Key *from = keys, *to = vec_grow(NULL, n + 1, sizeof(*to));
        size_t *count = vec_grow(NULL, RADIX, sizeof(*count));
        uint64_t differ = 0;

        for (size_t i = 0; i < n; i++)
                differ |= keys[i].target ^ keys[0].target;
        for (unsigned shift = 0; shift < 64 && differ >> shift; shift += DIGIT) {
                Key *next = from;
                size_t at = 0;

                memset(count, 0, RADIX * sizeof(*count));
                for (size_t i = 0; i < n; i++)
                        count[(from[i].target >> shift) % RADIX]++;
                for (size_t digit = 0; digit < RADIX; digit++) {
                        size_t here = count[digit];

                        count[digit] = at;
                        at += here;
                }
                for (size_t i = 0; i < n; i++)
                        to[count[(from[i].target >> shift) % RADIX]++] = from[i];
                from = to;
                to = next;
        }
        if (from != keys)
                memcpy(keys, from, n * sizeof(*keys));
        free(from != keys ? from : to);
        free(count);
}

static void sort_by_target(Code *code) {
        Key *keys = vec_grow(NULL, code->n_refs + 1, sizeof(*keys));

        for (size_t i = 0; i < code->n_refs; i++)
                keys[i] = (Key){ code->refs[i].target, (uint32_t)i };
        sort_keys(keys, code->n_refs);
        code->by_target = arena_newa(code->arena, uint32_t, code->n_refs + 1);
        for (size_t i = 0; i < code->n_refs; i++)
                code->by_target[i] = keys[i].ref;
        free(keys);
}

static void unique(uint64_t *v, size_t *n) {
        size_t k = 0;

        if (*n == 0)
                return; /* and v may be NULL */
        qsort(v, *n, sizeof(*v), u64_compare);
        for (size_t i = 0; i < *n; i++)
                if (k == 0 || v[k - 1] != v[i])
                        v[k++] = v[i];
        *n = k;
}

void code_find_targets(Code *code) {
        const Image *image = code->image;
        VEC(uint64_t) targets = { 0 };
        VEC(uint64_t) entries = { 0 };
        const CodePart *p = NULL;

        sort_by_target(code);
        for (size_t i = 0; i < code->n_refs; i++) {
                Ref *r = &code->refs[code->by_target[i]];
                bool said = i && code->refs[code->by_target[i - 1]].target == r->target;

                if (!said)
                        p = code_part_at(code, r->target);
                r->begins = p && code->functions[p->function].addr == r->target ? p->function : NO_FUNCTION;
                if (!p && !said)
                        vec_push(&targets, r->target);
                else if (p && p->addr != r->target && p->function != r->function)
                        vec_push(&entries, r->target);
        }
        for (size_t i = 0; i < image->n_relocs; i++) {
                const ImageReloc *r = &image->relocs[i];
                uint64_t target = (uint64_t)r->addend;

                if (r->type != R_X86_64_RELATIVE && r->type != R_X86_64_64 && r->type != R_X86_64_GLOB_DAT &&
                    r->type != R_X86_64_IRELATIVE)
                        continue;
                if (r->symbol) {
                        if (!image->dynsyms[r->symbol].defined)
                                continue;
                        target += image->dynsyms[r->symbol].addr;
                }
                p = code_part_at(code, target);
                if (!p)
                        vec_push(&targets, target);
                else if (p->addr != target)
                        vec_push(&entries, target);
        }
        for (int table = 0; table < 2; table++) {
                const ImageSymbol *symbols = table == 0 ? image->dynsyms : image->syms;
                size_t n = table == 0 ? image->n_dynsyms : image->n_syms;

                for (size_t i = 0; i < n; i++)
                        if (symbols[i].defined && symbols[i].type == STT_OBJECT)
                                vec_push(&targets, symbols[i].addr);
                        else if (symbols[i].defined && table == 0 && symbols[i].type == STT_FUNC) {
                                p = code_part_at(code, symbols[i].addr);
                                if (p && p->addr != symbols[i].addr)
                                        vec_push(&entries, symbols[i].addr);
                        }
        }
        unique(targets.items, &targets.n);
        unique(entries.items, &entries.n);
        code->targets = arena_dup(code->arena, targets.items, targets.n * sizeof(uint64_t));
        code->n_targets = targets.n;
        code->target_blocks = blocks_make(code->arena, code->targets, code->n_targets, sizeof(uint64_t),
                                          image->lo, image->hi);
        code->entries = arena_dup(code->arena, entries.items, entries.n * sizeof(uint64_t));
        code->n_entries = entries.n;
        vec_free(&targets);
        vec_free(&entries);
}

uint64_t code_next_target(const Code *code, uint64_t addr) {
        size_t at = blocks_above(&code->target_blocks, addr);

        return at < code->n_targets ? code->targets[at] : UINT64_MAX;
}

const uint32_t *code_refs_to(const Code *code, uint64_t addr, size_t *n) {
        size_t lo = 0, hi = code->n_refs, end;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (code->refs[code->by_target[mid]].target < addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (end = lo; end < code->n_refs && code->refs[code->by_target[end]].target == addr; end++)
                ;
        *n = end - lo;
        return &code->by_target[lo];
}

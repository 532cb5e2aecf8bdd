/* SPDX-License-Identifier: Apache-2.0 */
#include "build/emit.h"
#include "base/macro.h"
#include "build/decode.h"

#include <string.h>

/* The entries at which old code is left for the new, and the old code that no thread may be inside of. */

static int site_compare(const void *a, const void *b) {
        const PatchSite *x = a, *y = b;

        return x->old_addr < y->old_addr ? -1 : x->old_addr > y->old_addr;
}
static int patch_range_compare(const void *a, const void *b) {
        const PatchRange *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Sites are sorted last; ranges name theirs by its first address. */
static void sort_sites(Emitter *m) {
        uint64_t *first = arena_newa(m->p->arena, uint64_t, m->sites.n + 1);

        for (size_t i = 0; i < m->sites.n; i++)
                first[i] = m->sites.items[i].old_addr;
        if (m->sites.n)
                qsort(m->sites.items, m->sites.n, sizeof(PatchSite), site_compare);
        for (size_t i = 0; i < m->ranges.n; i++) {
                PatchSite key = { .old_addr = first[m->ranges.items[i].site] };
                PatchSite *s = bsearch(&key, m->sites.items, m->sites.n, sizeof(PatchSite), site_compare);

                m->ranges.items[i].site = (uint32_t)(s - m->sites.items);
        }
        if (m->ranges.n)
                qsort(m->ranges.items, m->ranges.n, sizeof(PatchRange), patch_range_compare);
}

/* Bytes that may be overwritten at the end of a part: padding up to the next code. */
static uint64_t padding_after(const Code *code, const CodePart *p) {
        const ImageSection *s = image_section_at(code->image, p->addr);
        uint64_t end = p->addr + p->size, limit;
        const CodePart *next = p + 1 < code->parts + code->n_parts ? p + 1 : NULL;
        const uint8_t *b;

        limit = s->addr + s->size;
        if (next && next->addr < limit)
                limit = next->addr;
        b = limit > end ? image_bytes(code->image, end, limit - end) : NULL;
        if (!b)
                return 0;
        for (uint64_t at = code_next_target(code, end - 1); at < limit; at = code_next_target(code, at))
                return at - end; /* something refers to it */
        return decode_padding(b, limit - end);
}

static void emit_site(Emitter *m, uint32_t match, const CodePart *p, uint64_t new_addr) {
        static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
        Diff *d = m->d;
        const Function *f = match_old(d, &d->matches[match]);
        const uint8_t *b = image_bytes(d->old_image, p->addr, p->size);
        uint64_t skip, room;
        PatchSite s = { .name = f->name, .old_addr = p->addr, .new_addr = new_addr, .patch_addr = p->addr, .short_at = 0xff };

        skip = b && p->size >= 4 && memcmp(b, endbr64, 4) == 0 ? 4 : 0;
        room = p->size + padding_after(d->old, p);
        if (room < skip + 5) {
                verdict_add(&d->verdict, REFUSAL_CODE_FUNCTION_SMALL, f->name, "%llu bytes", (unsigned long long)p->size);
                return;
        }
        for (size_t i = 0; i < d->old->n_entries; i++)
                if (d->old->entries[i] > p->addr && d->old->entries[i] < p->addr + p->size)
                        verdict_add(&d->verdict, REFUSAL_CODE_ENTRY_BRANCH, f->name, "at offset %llu",
                                    (unsigned long long)(d->old->entries[i] - p->addr));
        for (uint32_t i = p->insn; i < p->insn + p->n_insns; i++) {
                const Insn *insn = &d->old->insns[i];
                uint64_t end = d->old->text_base + insn->offset + insn->length;

                if (end >= p->addr + skip + 5)
                        break;
                /* A coroutine that is suspended in the call is seen on no thread's stack, and would return
                 * into the jump. */
                if ((insn->flags & INSN_CALL) && end > p->addr + skip) {
                        verdict_add(&d->verdict, REFUSAL_CODE_FUNCTION_SMALL, f->name,
                                    "a call returns to offset %llu", (unsigned long long)(end - p->addr));
                        return;
                }
        }
        s.jump_addr = p->addr + skip;
        s.n_expect = (uint8_t)(skip + 5);
        b = image_bytes(d->old_image, p->addr, s.n_expect);
        if (!b) {
                verdict_add(&d->verdict, REFUSAL_CODE_FUNCTION_SMALL, f->name, "at the end of the text");
                return;
        }
        memcpy(s.expect, b, s.n_expect);
        vec_push(&m->sites, s);
}

void emit_sites(Emitter *m) {
        Diff *d = m->d;

        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *x = &d->matches[i];
                const Function *f = match_old(d, x), *g = match_new(d, x);
                size_t first = m->sites.n;

                if (x->kind != MATCH_CHANGED && x->kind != MATCH_CARRIED)
                        continue;
                for (uint32_t k = 0; k < f->n_parts; k++) {
                        const CodePart *p = &d->old->parts[f->parts[k]];

                        if (k > 0 && !p->entered)
                                continue;
                        if (k > 0 && f->n_parts != g->n_parts) {
                                verdict_add(&d->verdict, REFUSAL_CODE_ENTRY_BRANCH, f->name, "it has several entries");
                                continue;
                        }
                        emit_site(m, i, p, k == 0 ? g->addr : d->new->parts[g->parts[k]].addr);
                }
                for (uint32_t k = 0; k < f->n_parts && m->sites.n > first; k++) {
                        const CodePart *p = &d->old->parts[f->parts[k]];

                        size_t site = first;

                        for (size_t j = first; j < m->sites.n; j++)
                                if (m->sites.items[j].old_addr == p->addr)
                                        site = j;
                        vec_push(&m->ranges, (PatchRange){ .addr = p->addr, .size = p->size, .site = (uint32_t)site });
                }
        }
        sort_sites(m);
}

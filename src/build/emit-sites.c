/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/decode.h"
#include "build/emit.h"

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

/* Bytes of padding right before a part: all that lies between it and the code before it. */
static uint64_t padding_before(const Code *code, const CodePart *p) {
        const CodePart *before = p > code->parts ? p - 1 : NULL;
        uint64_t end = before ? before->addr + before->size : 0;

        if (!before || end > p->addr ||
            image_section_at(code->image, before->addr) != image_section_at(code->image, p->addr) ||
            end + padding_after(code, before) != p->addr)
                return 0;
        return p->addr - end;
}

/*
 * An instruction boundary inside (from, to) of a function that a call returns to. A coroutine that is
 * suspended in the call is seen on no thread's stack, and would return into what is written there.
 */
static uint64_t returns_into(const Code *code, const CodePart *p, uint64_t from, uint64_t to) {
        for (uint32_t i = p->insn; i < p->insn + p->n_insns; i++) {
                const Insn *insn = &code->insns[i];
                uint64_t end = code->text_base + insn->offset + insn->length;

                if (end >= to)
                        break;
                if ((insn->flags & INSN_CALL) && end > from)
                        return end;
        }
        return 0;
}

enum { JUMP = 5, SHORT_JUMP = 2, ENDBR = 4 };

/*
 * A long jump at the entry where it has room; else a short one there, to a long one in the padding behind
 * the function or before it, as far as both lie within the bytes that a site may have.
 */
static bool place_jump(const Code *code, const CodePart *p, uint64_t skip, PatchSite *s, const char **why) {
        uint64_t entry = p->addr + skip, end = p->addr + p->size, after = padding_after(code, p);
        uint64_t returned = returns_into(code, p, entry, entry + JUMP);

        *why = "no padding is near enough for a jump";
        if (p->size + after >= skip + JUMP && !returned) {
                s->jump_addr = entry;
                s->patch_addr = p->addr;
                s->n_expect = (uint8_t)(skip + JUMP);
                return true;
        }
        if (returned)
                *why = "a call returns into the bytes that a jump takes, and no padding is near";
        if (p->size < skip + SHORT_JUMP || returns_into(code, p, entry, entry + SHORT_JUMP))
                return false;
        if (after >= JUMP && end + JUMP - p->addr <= PATCH_SITE_BYTES) {
                s->jump_addr = end;
                s->patch_addr = p->addr;
                s->n_expect = (uint8_t)(end + JUMP - p->addr);
        } else if (padding_before(code, p) >= JUMP) {
                s->jump_addr = p->addr - JUMP;
                s->patch_addr = s->jump_addr;
                s->n_expect = (uint8_t)(JUMP + skip + SHORT_JUMP);
        } else {
                return false;
        }
        s->short_at = (uint8_t)(entry - s->patch_addr);
        return true;
}

static void emit_site(Emitter *m, uint32_t match, const CodePart *p, uint64_t new_addr) {
        static const uint8_t endbr64[ENDBR] = { 0xf3, 0x0f, 0x1e, 0xfa };
        Diff *d = m->d;
        const Function *f = match_old(d, &d->matches[match]);
        const uint8_t *b = image_bytes(d->old_image, p->addr, p->size);
        PatchSite s = { .name = f->name, .old_addr = p->addr, .new_addr = new_addr, .short_at = 0xff };
        uint64_t skip = b && p->size >= ENDBR && memcmp(b, endbr64, ENDBR) == 0 ? ENDBR : 0;
        const char *why;

        if (!place_jump(d->old, p, skip, &s, &why)) {
                verdict_add(&d->verdict, REFUSAL_CODE_FUNCTION_SMALL, f->name, "%llu bytes: %s",
                            (unsigned long long)p->size, why);
                return;
        }
        for (size_t i = 0; i < d->old->n_entries; i++)
                if (d->old->entries[i] > p->addr && d->old->entries[i] < p->addr + p->size)
                        verdict_add(&d->verdict, REFUSAL_CODE_ENTRY_BRANCH, f->name, "at offset %llu",
                                    (unsigned long long)(d->old->entries[i] - p->addr));
        b = image_bytes(d->old_image, s.patch_addr, s.n_expect);
        if (!b) {
                verdict_add(&d->verdict, REFUSAL_CODE_FUNCTION_SMALL, f->name, "at the end of the text");
                return;
        }
        memcpy(s.expect, b, s.n_expect);
        vec_push(&m->sites, s);
}

/* Two may want the same padding. */
static void refuse_overlaps(Emitter *m) {
        for (size_t i = 1; i < m->sites.n; i++) {
                const PatchSite *s = &m->sites.items[i];

                if (s->patch_addr < s[-1].patch_addr + s[-1].n_expect)
                        verdict_add(&m->d->verdict, REFUSAL_CODE_FUNCTION_SMALL, s->name,
                                    "the padding beside it is taken by %s", s[-1].name);
        }
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
                                verdict_add(&d->verdict, REFUSAL_CODE_ENTRY_BRANCH, f->name,
                                            "it has several entries");
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
                        vec_push(&m->ranges,
                                 (PatchRange){ .addr = p->addr, .size = p->size, .site = (uint32_t)site });
                }
        }
        sort_sites(m);
        refuse_overlaps(m);
}

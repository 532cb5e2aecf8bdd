/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/decode.h"
#include "build/emit.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/*
 * Names the variables that the patch adds, and gives evidence of which is which, so that the next patch of
 * the same base can use their storage: docs/safety.md, claim 27.
 */

enum { AROUND = 3 }; /* instructions on either side that must be the same for a use to be the same */

static uint64_t mix(uint64_t h, uint64_t v) {
        return XXH3_64bits_withSeed(&v, sizeof(v), h);
}

void emit_variable_range(Emitter *m, uint64_t from, uint64_t to) {
        for (size_t i = 0; i < m->added.n; i++)
                if (m->added.items[i].new == from)
                        return;
        vec_push(&m->added, (ConstTable){ from, to - from });
}

bool emit_is_variable(const Emitter *m, uint64_t addr) {
        for (size_t i = 0; i < m->added.n; i++)
                if (addr - m->added.items[i].new < m->added.items[i].size)
                        return true;
        return false;
}

/* The object's symbol, when it is the only one of its name and not one that the compiler numbered. */
static const char *stable_name(const Image *image, uint64_t addr, uint64_t size) {
        const char *name = NULL;

        for (int round = 0; round < 2; round++)
                for (int table = 0; table < 2; table++) {
                        const ImageSymbol *s = table ? image->syms : image->dynsyms;
                        size_t n = table ? image->n_syms : image->n_dynsyms;

                        for (size_t i = 0; i < n; i++) {
                                if (!s[i].defined || s[i].type != STT_OBJECT)
                                        continue;
                                if (round == 0 && s[i].addr == addr && s[i].size == size)
                                        name = s[i].name;
                                if (round == 1 && s[i].addr != addr && strcmp(s[i].name, name) == 0)
                                        return "";
                        }
                        if (round == 1 && table == 1)
                                return name;
                        if (round == 0 && table == 1 && (!name || !*name || strchr(name, '.')))
                                return "";
                }
        return "";
}

static bool has_symbol(const Image *image, uint64_t addr, uint64_t size) {
        for (int table = 0; table < 2; table++) {
                const ImageSymbol *s = table ? image->syms : image->dynsyms;
                size_t n = table ? image->n_syms : image->n_dynsyms;

                for (size_t i = 0; i < n; i++)
                        if (s[i].defined && s[i].type == STT_OBJECT && s[i].addr == addr && s[i].size == size)
                                return true;
        }
        return false;
}

static void add_piece(Emitter *m, uint64_t addr, uint64_t size) {
        const Image *n = m->d->new_image;
        /* What a larger object's declaration gave it, its code may rely on; a scalar, on its width. */
        uint64_t most = size >= 32 ? 32 : size >= 16 ? 16 : 8, align = most;

        while (addr % align)
                align /= 2;
        vec_push(&m->variables, (PatchVariable){ .addr = addr,
                                                 .size = size,
                                                 .align = (uint32_t)align,
                                                 .name = stable_name(n, addr, size) });
}

/* One range may hold several. What is only ever accessed directly ends with its width; where an address is
 * taken first, an object begins whose end nothing tells. */
static void split(Emitter *m, uint64_t from, uint64_t to) {
        const Code *code = m->d->new;
        uint64_t at = from;

        if (has_symbol(code->image, from, to - from)) {
                add_piece(m, from, to - from);
                return;
        }
        if (!is_target(code, at))
                at = code_next_target(code, at);
        while (at < to) {
                uint64_t next = code_next_target(code, at);
                unsigned width;

                if (!accessed_only(code, at, &width) || at + width > MIN(next, to)) {
                        add_piece(m, at, to - at);
                        return;
                }
                add_piece(m, at, width);
                at = next;
        }
}

static int variable_compare(const void *a, const void *b) {
        const PatchVariable *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}
static int testimony_compare(const void *a, const void *b) {
        const PatchTestimony *x = a, *y = b;

        if (x->key != y->key)
                return x->key < y->key ? -1 : 1;
        return x->variable < y->variable ? -1 : x->variable > y->variable;
}
static int user_compare(const void *a, const void *b) {
        const PatchUser *x = a, *y = b;

        if (x->old_addr != y->old_addr)
                return x->old_addr < y->old_addr ? -1 : 1;
        if (x->content != y->content)
                return x->content < y->content ? -1 : 1;
        return x->shape < y->shape ? -1 : x->shape > y->shape;
}

static PatchVariable *variable_at(Emitter *m, uint64_t addr) {
        for (size_t i = 0; i < m->variables.n; i++)
                if (addr - m->variables.items[i].addr < m->variables.items[i].size)
                        return &m->variables.items[i];
        return NULL;
}

/* What a word of a variable's initial value leads to, in terms that two patches of one base share. */
static uint64_t pointee(Emitter *m, const PatchReloc *r) {
        const Image *n = m->d->new_image;
        const Function *g;
        Place q;

        switch (r->base) {
        case PATCH_BASE_OLD:
                return mix(1, r->value);
        case PATCH_BASE_IMPORT:
                return XXH3_64bits_withSeed(m->imports.items[r->value].name,
                                            strlen(m->imports.items[r->value].name), 2);
        case PATCH_BASE_SHADOW:
                break;
        }
        q = place_of(m->d->new, r->value);
        g = q.kind == PLACE_FUNCTION ? &m->d->new->functions[q.index] : NULL;
        if (g)
                return mix(g->norm, 3);
        if (q.kind == PLACE_CONST) {
                uint64_t size = const_extent(m->d->new, r->value);
                const uint8_t *b = image_bytes(n, r->value, size);

                return b ? XXH3_64bits_withSeed(b, strnlen((const char *)b, size), 4) : 4;
        }
        return mix(5, r->value - (q.section ? q.section->addr : 0));
}

static uint64_t initial_value(Emitter *m, const PatchVariable *v) {
        const uint8_t *b = image_bytes(m->d->new_image, v->addr, v->size);
        uint64_t h = 0;

        for (uint64_t i = 0; b && i < v->size; i++)
                if (b[i])
                        h = mix(mix(h, i), b[i]);
        for (size_t i = 0; i < m->relocs.n; i++) {
                const PatchReloc *r = &m->relocs.items[i];

                if (r->where - v->addr < v->size)
                        h = mix(mix(h, r->where - v->addr),
                                pointee(m, r)); /* in order of address: merged before */
        }
        return h;
}

/* What identifies a function of the new image in other patches of the base. */
static uint64_t function_key(const Diff *d, const Function *g) {
        const Function *f = match_old(d, &d->matches[d->new_match[g - d->new->functions]]);

        return f ? mix(1, f->addr) : mix(2, g->norm);
}

static void testify(Emitter *m, uint64_t key, const PatchVariable *v) {
        vec_push(&m->testimonies, (PatchTestimony){ key, (uint32_t)(v - m->variables.items) });
}

static void testify_function(Emitter *m, const Function *g) {
        const Code *code = m->d->new;
        uint64_t whose = function_key(m->d, g);

        for (uint32_t i = 0; i < g->n_refs; i++) {
                const Ref *r = &code->refs[g->ref + i];
                const PatchVariable *v = variable_at(m, r->target);
                const CodePart *p = v ? code_part_at(code, r->insn) : NULL;
                uint64_t here = whose;
                uint32_t at;

                if (!p)
                        continue;
                /* The same function, the same content, the same reference. */
                testify(m, mix(mix(mix(mix(whose, 11), g->norm), i), r->target - v->addr), v);
                for (at = p->insn; at < p->insn + p->n_insns && insn_addr(code, &code->insns[at]) != r->insn;
                     at++)
                        ;
                /* Or the same neighbours. */
                for (int64_t k = (int64_t)at - AROUND; k <= (int64_t)at + AROUND; k++)
                        here = mix(here, k < p->insn || k >= p->insn + p->n_insns ? 1 : code->insns[k].norm);
                testify(m, mix(mix(mix(here, 12), r->target - v->addr), r->field - r->insn), v);
        }
}

static int number_compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* A number that may be the size of an object, a stride or the distance to a member. */
static bool loads_number(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o) {
        switch (in->mnemonic) {
        case ZYDIS_MNEMONIC_MOV:
        case ZYDIS_MNEMONIC_IMUL:
        case ZYDIS_MNEMONIC_SHL:
                return true;
        case ZYDIS_MNEMONIC_ADD:
        case ZYDIS_MNEMONIC_SUB:
                return in->operand_width == 64 && o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                       o[0].reg.value != ZYDIS_REGISTER_RSP;
        default:
                return false;
        }
}

/* How a function touches memory that is not its own: the set of displacements, widths and strides, and of
 * the numbers that it loads. */
static uint64_t shape_of(const Code *code, const Function *g) {
        VEC(uint64_t) seen = { 0 };
        ZydisDecoder decoder;
        uint64_t h = 0;

        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        for (uint32_t k = 0; k < g->n_parts; k++) {
                const CodePart *p = &code->parts[g->parts[k]];

                for (uint32_t i = p->insn; i < p->insn + p->n_insns; i++) {
                        const Insn *x = &code->insns[i];
                        const uint8_t *b = image_bytes(code->image, insn_addr(code, x), x->length);
                        ZydisDecodedInstruction in;
                        ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
                        bool branch = x->flags & (INSN_INTERNAL | INSN_CALL);

                        if (!b || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, b, x->length, &in, o)))
                                continue;
                        for (unsigned j = 0; j < in.operand_count_visible; j++) {
                                uint64_t v = 0;

                                if (o[j].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                                    o[j].mem.base != ZYDIS_REGISTER_RIP &&
                                    o[j].mem.base != ZYDIS_REGISTER_RSP)
                                        v = mix(mix(mix(21, (uint64_t)o[j].mem.disp.value), o[j].size),
                                                o[j].mem.scale);
                                else if (o[j].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && !branch &&
                                         !(x->flags & INSN_REF) && loads_number(&in, o))
                                        v = mix(22, o[j].imm.value.u);
                                if (v)
                                        vec_push(&seen, v);
                        }
                }
        }
        if (seen.n)
                qsort(seen.items, seen.n, sizeof(uint64_t), number_compare);
        for (size_t i = 0; i < seen.n; i++)
                if (i == 0 || seen.items[i] != seen.items[i - 1])
                        h = mix(h, seen.items[i]);
        vec_free(&seen);
        return h;
}

void emit_variables(Emitter *m) {
        Diff *d = m->d;
        size_t n = 0;

        for (size_t i = 0; i < m->added.n; i++)
                split(m, m->added.items[i].new, m->added.items[i].new + m->added.items[i].size);
        if (!m->variables.n)
                return;
        qsort(m->variables.items, m->variables.n, sizeof(PatchVariable), variable_compare);
        for (size_t i = 0; i < m->variables.n; i++) /* ranges may overlap: what begins first counts */
                if (n == 0 || m->variables.items[i].addr >=
                                      m->variables.items[n - 1].addr + m->variables.items[n - 1].size)
                        m->variables.items[n++] = m->variables.items[i];
        m->variables.n = n;
        for (size_t i = 0; i < n; i++)
                m->variables.items[i].initial = initial_value(m, &m->variables.items[i]);
        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *x = &d->matches[i];
                const Function *f = match_old(d, x), *g = match_new(d, x);

                if (!g || !m->carried[x->new] || (x->kind != MATCH_CHANGED && x->kind != MATCH_ADDED))
                        continue;
                testify_function(m, g);
                vec_push(&m->users, (PatchUser){ f ? f->addr : 0, g->norm, shape_of(d->new, g) });
        }
        if (m->testimonies.n)
                qsort(m->testimonies.items, m->testimonies.n, sizeof(PatchTestimony), testimony_compare);
        if (m->users.n)
                qsort(m->users.items, m->users.n, sizeof(PatchUser), user_compare);
        n = 0;
        for (size_t i = 0; i < m->testimonies.n; i++)
                if (n == 0 || testimony_compare(&m->testimonies.items[n - 1], &m->testimonies.items[i]) != 0)
                        m->testimonies.items[n++] = m->testimonies.items[i];
        m->testimonies.n = n;
        n = 0;
        for (size_t i = 0; i < m->users.n; i++)
                if (n == 0 || user_compare(&m->users.items[n - 1], &m->users.items[i]) != 0)
                        m->users.items[n++] = m->users.items[i];
        m->users.n = n;
}

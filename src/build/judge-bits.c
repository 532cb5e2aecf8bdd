/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>

/*
 * Bit fields. What takes some bits of a word is written in several ways: a mask, a shift and a mask, two
 * shifts, a test of memory. Here all of them become a range of bits of the object, from its beginning. Where
 * a function no longer takes a range that it took, and takes another one of the same width in the same eight
 * bytes, the field has moved. A word of which more may be used than was followed counts as taken as a whole.
 */

enum { REACH = 10 };

typedef struct Range {
        uint32_t root, stride;
        int64_t bit;
        unsigned width;
        bool all; /* of a word, or some of it */
} Range;

typedef struct Ranges {
        VEC(Range) all;
        size_t parts; /* among them */
} Ranges;

/* The bits of a mask, when they are side by side. */
static bool mask_bits(int64_t imm, unsigned size, unsigned *low, unsigned *width) {
        uint64_t m = (uint64_t)imm & (size >= 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1);

        if (!m)
                return false;
        *low = (unsigned)__builtin_ctzll(m);
        m >>= *low;
        if (m & (m + 1))
                return false;
        *width = (unsigned)__builtin_popcountll(m);
        return true;
}

static bool takes_one(const Op *op) {
        return op->mnemonic == ZYDIS_MNEMONIC_BT && op->has_imm;
}

/* (Whole bytes are left out: compilers reach fields of them by their address.) */
static void add(Ranges *r, const Access *a, unsigned low, unsigned width) {
        if ((low % 8 || width % 8) && low + width <= a->width * 8U && width < a->width * 8U) {
                vec_push(&r->all, (Range){ a->at.root, a->at.stride, a->at.off * 8 + low, width, false });
                r->parts++;
        }
}

/* More of the word may be used than was followed. */
static void add_all(Ranges *r, const Access *a) {
        vec_push(&r->all, (Range){ a->at.root, a->at.stride, a->at.off * 8, a->width * 8U, true });
}

/* What is taken of the word that op i loaded into a register, by the instructions right behind. */
static void follow(Ranges *r, const FnValues *f, uint32_t i, const Access *a) {
        unsigned bits = a->width * 8U, low = 0, top = 0, at, width;
        int8_t reg = f->ops[i].dst;

        for (uint32_t k = i + 1; k < f->n_ops && k <= i + REACH; k++) {
                const Op *x = &f->ops[k];
                bool mine = !x->has_mem && x->dst == reg && x->has_imm && x->imm > 0;

                if (mine && x->imm < 64 &&
                    (x->mnemonic == ZYDIS_MNEMONIC_SHR || x->mnemonic == ZYDIS_MNEMONIC_SAR)) {
                        if (top) {
                                /* the first shift put the field's upper end at the register's */
                                if ((unsigned)x->imm >= top && (unsigned)x->imm < x->size * 8U)
                                        add(r, a, low + (unsigned)x->imm - top,
                                            x->size * 8U - (unsigned)x->imm);
                                return;
                        }
                        low += (unsigned)x->imm;
                } else if (mine && x->imm < 64 && x->mnemonic == ZYDIS_MNEMONIC_SHL && !low && !top) {
                        top = (unsigned)x->imm;
                } else if (mine && x->kind == OP_AND && !top) {
                        if (mask_bits(x->imm, x->size, &at, &width))
                                add(r, a, low + at, width);
                        else
                                add_all(r, a);
                        return;
                } else if (!(x->kind == OP_MOV && !x->has_mem && x->src == reg && x->dst == reg)) {
                        if ((x->reads | x->writes) & (1u << reg))
                                break;
                        if (x->kind == OP_CALL || x->kind == OP_JMP || x->kind == OP_JCC ||
                            x->kind == OP_RET || x->kind == OP_STOP)
                                break;
                }
        }
        if (low && low < bits && !top)
                add(r, a, low, bits - low);
        else
                add_all(r, a);
}

static void collect(Judge *j, const FnValues *f, Ranges *r) {
        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];
                const Op *op = &f->ops[a->op];
                unsigned low, width;
                Need need = { a->at, a->width, a->class, a->flags, false, false };
                size_t before = r->all.n, parts = r->parts;

                if (a->class != CLASS_INT || a->width > 8 || a->at.root == ROOT_NONE ||
                    a->at.root == ROOT_CONFLICT || !(a->flags & ACCESS_READ) || (a->flags & ACCESS_WRITE))
                        continue;
                if (op->kind == OP_MOV && !op->mem_first && op->dst >= 0)
                        follow(r, f, a->op, a);
                else if (op->mnemonic == ZYDIS_MNEMONIC_TEST && op->has_imm &&
                         mask_bits(op->imm, a->width, &low, &width))
                        add(r, a, low, width);
                else if (takes_one(op))
                        add(r, a, (unsigned)(op->imm & 63), 1);
                else
                        add_all(r, a);
                if (r->parts > parts && place_free(j, &need)) {
                        r->all.n = before;
                        r->parts = parts;
                }
        }
}

static bool takes(const Ranges *r, const Range *like) {
        for (size_t i = 0; i < r->all.n; i++)
                if (r->all.items[i].root == like->root && r->all.items[i].stride == like->stride &&
                    (r->all.items[i].all
                             ? r->all.items[i].bit <= like->bit &&
                                       like->bit + like->width <= r->all.items[i].bit + r->all.items[i].width
                             : r->all.items[i].bit == like->bit && r->all.items[i].width == like->width))
                        return true;
        return false;
}

void judge_bits(Judge *j, const PairView *p) {
        Ranges old = { 0 }, new = { 0 };
        bool moved = false;

        collect(j, p->new, &new);
        if (new.parts)
                collect(j, p->old, &old);
        for (size_t i = 0; i < new.all.n &&new.parts && !moved; i++) {
                const Range *b = &new.all.items[i];
                char what[200];

                if (b->all || takes(&old, b))
                        continue;
                for (size_t k = 0; k < old.all.n && !moved; k++) {
                        const Range *a = &old.all.items[k];

                        if (a->all || a->root != b->root || a->stride != b->stride || a->width != b->width ||
                            value_distance(a->bit, b->bit) >= 64 || takes(&new, a))
                                continue;
                        values_print(j->w, b->root, what, sizeof(what));
                        judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                                  "%u bits at bit %" PRId64
                                  " of %s are no longer taken, but those at bit %" PRId64 " are",
                                  b->width, a->bit, what, b->bit);
                        moved = true;
                }
        }
        vec_free(&old.all);
        vec_free(&new.all);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <string.h>

/*
 * The aligner pairs instructions with the same bytes. What lies between is paired here by shape: the
 * same instruction and registers, whatever its constants and displacements.
 */

enum { SHAPE_CELLS = 1 << 18 };

static uint32_t op_of_insn(const FnValues *f, uint32_t insn) {
        const Function *fn = &f->code->functions[f->function];
        uint32_t first = 0;

        for (uint32_t k = 0; k < fn->n_parts; k++) {
                const CodePart *part = &f->code->parts[fn->parts[k]];

                if (insn >= part->insn && insn < part->insn + part->n_insns)
                        return first + (insn - part->insn);
                first += part->n_insns;
        }
        return NO_OP;
}

bool shape_equal(const Op *a, const Op *b) {
        return a->mnemonic == b->mnemonic && a->kind == b->kind && a->dst == b->dst && a->src == b->src &&
               a->base == b->base && a->index == b->index && a->scale == b->scale && a->width == b->width &&
               a->size == b->size && a->has_mem == b->has_mem && a->mem_first == b->mem_first &&
               a->rip == b->rip && a->has_imm == b->has_imm && (a->target != 0) == (b->target != 0);
}

static void set_pair(PairView *p, uint32_t old, uint32_t new, PairHow how) {
        if (old == NO_OP || new == NO_OP)
                return;
        p->partner[new] = old;
        p->old_partner[old] = new;
        p->how[new] = p->old_how[old] = (uint8_t)how;
}

/* The longest common subsequence by shape of what one gap of the alignment holds. */
static void pair_gap(PairView *p, const uint32_t *old, uint32_t n, const uint32_t *new, uint32_t m) {
        uint16_t *t;

        if (n == 0 || m == 0 || n > UINT16_MAX || m > UINT16_MAX || (size_t)n * m > SHAPE_CELLS)
                return;
        t = calloc(((size_t)n + 1) * ((size_t)m + 1), sizeof(*t));
        if (!t)
                abort();
#define T(i, k) t[(size_t)(i) * (m + 1) + (k)]
        for (uint32_t i = n; i-- > 0;)
                for (uint32_t k = m; k-- > 0;)
                        T(i, k) = shape_equal(&p->old->ops[old[i]], &p->new->ops[new[k]])
                                          ? (uint16_t)(T(i + 1, k + 1) + 1)
                                          : MAX(T(i + 1, k), T(i, k + 1));
        for (uint32_t i = 0, k = 0; i < n && k < m;) {
                if (shape_equal(&p->old->ops[old[i]], &p->new->ops[new[k]]) && T(i, k) == T(i + 1, k + 1) + 1)
                        set_pair(p, old[i++], new[k++], PAIR_SHAPE);
                else if (T(i + 1, k) >= T(i, k + 1))
                        i++;
                else
                        k++;
        }
#undef T
        free(t);
}

PairView pair_view(Judge *j, const Match *m, const Alignment *al) {
        PairView p = { .old = values_of(j->w, SIDE_OLD, m->old),
                       .new = values_of(j->w, SIDE_NEW, m->new),
                       .old_function = m->old,
                       .new_function = m->new,
                       .only_shapes = true };
        VEC(uint32_t) a = { 0 }, b = { 0 };

        if (p.old->incomplete || p.new->incomplete)
                return p;
        p.partner = vec_grow(NULL, p.new->n_ops, sizeof(uint32_t));
        p.old_partner = vec_grow(NULL, p.old->n_ops, sizeof(uint32_t));
        memset(p.partner, 0xff, p.new->n_ops * sizeof(uint32_t));
        memset(p.old_partner, 0xff, p.old->n_ops * sizeof(uint32_t));
        p.how = vec_grow(NULL, p.new->n_ops, 1);
        p.old_how = vec_grow(NULL, p.old->n_ops, 1);
        memset(p.how, PAIR_NONE, p.new->n_ops);
        memset(p.old_how, PAIR_NONE, p.old->n_ops);
        p.moved_down = vec_grow(NULL, p.old->n_places + 1, 1);
        memset(p.moved_down, MOVED_UNASKED, p.old->n_places + 1);
        for (size_t i = 0; i <= al->n; i++) {
                uint32_t old = i < al->n ? al->pairs[i].old : UINT32_MAX,
                         new = i < al->n ? al->pairs[i].new : UINT32_MAX;
                bool both = old != UINT32_MAX && new != UINT32_MAX;

                if (both || i == al->n) {
                        pair_gap(&p, a.items, (uint32_t)a.n, b.items, (uint32_t)b.n);
                        a.n = b.n = 0;
                }
                if (both)
                        set_pair(&p, op_of_insn(p.old, old), op_of_insn(p.new, new), PAIR_SAME);
                else if (old != UINT32_MAX && op_of_insn(p.old, old) != NO_OP)
                        vec_push(&a, op_of_insn(p.old, old));
                else if (new != UINT32_MAX && op_of_insn(p.new, new) != NO_OP)
                        vec_push(&b, op_of_insn(p.new, new));
        }
        for (uint32_t i = 0; i < p.new->n_ops &&p.only_shapes; i++)
                if (p.how[i] == PAIR_NONE && p.new->ops[i].kind != OP_NOP)
                        p.only_shapes = false;
        for (uint32_t i = 0; i < p.old->n_ops && p.only_shapes; i++)
                if (p.old_how[i] == PAIR_NONE && p.old->ops[i].kind != OP_NOP)
                        p.only_shapes = false;
        vec_free(&a);
        vec_free(&b);
        return p;
}

void pair_view_free(PairView *p) {
        free(p->partner);
        free(p->old_partner);
        free(p->how);
        free(p->old_how);
        free(p->moved_down);
        *p = (PairView){ 0 };
}

bool pair_flanked(const PairView *p, uint32_t new_op) {
        uint32_t old = p->partner[new_op];

        if (old == NO_OP)
                return false;
        if (new_op > 0 && old > 0 && (p->how[new_op - 1] != PAIR_SAME || p->partner[new_op - 1] != old - 1))
                return false;
        if (new_op + 1 < p->new->n_ops && old + 1 < p->old->n_ops &&
            (p->how[new_op + 1] != PAIR_SAME || p->partner[new_op + 1] != old + 1) &&
            p->new->ops[new_op + 1].kind != OP_NOP)
                return false;
        return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>

/*
 * The other forms that compilers give to questions about an enumeration: ranges (`lea -3(%rdi), %eax; cmp $2,
 * %eax; jbe`), sets of values (`mov $0x4a4, %eax; bt %rdi, %rax`), constants that are handed on as arguments,
 * and chains of cases, of which two changed places.
 */

enum { AHEAD = 5, MAX_CASES = 64, MAX_BLOCK = 12 };

static bool unsigned_condition(uint16_t mnemonic) {
        switch (mnemonic) {
        case ZYDIS_MNEMONIC_JB:
        case ZYDIS_MNEMONIC_JBE:
        case ZYDIS_MNEMONIC_JNB:
        case ZYDIS_MNEMONIC_JNBE:
        case ZYDIS_MNEMONIC_SETB:
        case ZYDIS_MNEMONIC_SETBE:
        case ZYDIS_MNEMONIC_SETNB:
        case ZYDIS_MNEMONIC_SETNBE:
        case ZYDIS_MNEMONIC_CMOVB:
        case ZYDIS_MNEMONIC_CMOVBE:
        case ZYDIS_MNEMONIC_CMOVNB:
        case ZYDIS_MNEMONIC_CMOVNBE:
        case ZYDIS_MNEMONIC_ADC:
        case ZYDIS_MNEMONIC_SBB:
                return true;
        default:
                return false;
        }
}

/* The lowest value of a range: what is taken from the value before that is held against the range's length.
 */
static bool lowest_of_range(const FnValues *f, uint32_t i, int64_t *low) {
        const Op *op = &f->ops[i];
        bool compared = false;

        if (op->dst < 0 || op->dst == 4)
                return false;
        if (op->kind == OP_LEA && op->base >= 0 && op->base != 4 && op->base != 5 && op->index < 0 &&
            !op->rip)
                *low = -op->disp;
        else if (op->kind == OP_SUB && op->has_imm && !op->has_mem)
                *low = op->imm;
        else if (op->kind == OP_ADD && op->has_imm && !op->has_mem)
                *low = -op->imm;
        else
                return false;
        for (uint32_t k = i + 1; k < f->n_ops && k <= i + AHEAD; k++) {
                const Op *x = &f->ops[k];

                if (compared && unsigned_condition(x->mnemonic))
                        return true;
                if (x->kind == OP_CMP && x->mnemonic == ZYDIS_MNEMONIC_CMP && x->has_imm && !x->has_mem &&
                    x->dst == op->dst)
                        compared = true;
                else if ((x->writes & (1u << op->dst)) || x->kind == OP_CALL || x->kind == OP_JMP)
                        return false;
        }
        return false;
}

static void collect_range(Judge *j, const PairView *p, uint32_t i) {
        int64_t old, new;

        if (!lowest_of_range(p->new, i, &new) || !lowest_of_range(p->old, p->partner[i], &old) ||
            old == new || value_distance(old, new) > ENUM_DELTA || value_distance(old, 0) > ENUM_MAX)
                return;
        vec_push(&j->shifts,
                 (ConstShift){ .match = j->match,
                               .old = old,
                               .new = new,
                               .equality = true,
                               .kept = value_of_object(j, p->new, i,
                                                       p->new->ops[i].kind == OP_LEA ? p->new->ops[i].base
                                                                                     : p->new->ops[i].dst) });
}

/* The bits from some place on moved up together, those below stayed. */
static bool set_moved(uint64_t x, uint64_t y) {
        if (x == y || __builtin_popcountll(x) != __builtin_popcountll(y) || __builtin_popcountll(x) < 2)
                return false;
        for (unsigned from = 0; from < 64; from++) {
                uint64_t below = (UINT64_C(1) << from) - 1;

                if ((x & below) != (y & below))
                        return false;
                for (unsigned k = 1; k <= ENUM_DELTA && k < 64; k++)
                        if (((x & ~below) << k) == (y & ~below) || ((y & ~below) << k) == (x & ~below))
                                return true;
        }
        return false;
}

static void collect_set(Judge *j, const PairView *p, uint32_t i) {
        const Op *b = &p->new->ops[i], *a = &p->old->ops[p->partner[i]];

        if (b->kind != OP_MOV || !b->has_imm || b->has_mem || b->dst < 0 ||
            !set_moved((uint64_t)a->imm, (uint64_t)b->imm))
                return;
        for (uint32_t k = i + 1; k < p->new->n_ops &&k <= i + AHEAD; k++) {
                const Op *x = &p->new->ops[k];

                if (x->mnemonic == ZYDIS_MNEMONIC_BT && !x->has_mem && x->dst == b->dst) {
                        vec_push(&j->shifts, (ConstShift){ .match = j->match,
                                                           .old = a->imm,
                                                           .new = b->imm,
                                                           .bits = true,
                                                           .kept = value_of_object(j, p->new, k, x->src) });
                        return;
                }
                if (x->writes & (1u << b->dst))
                        return;
        }
}

static void collect_argument(Judge *j, const PairView *p, uint32_t i) {
        const Op *b = &p->new->ops[i], *a = &p->old->ops[p->partner[i]];
        uint64_t target;

        if (b->kind == OP_MOV && b->has_imm && !b->has_mem && b->dst >= 0 && a->imm != b->imm &&
            a->imm >= 0 && b->imm >= 0 && value_distance(a->imm, b->imm) <= ENUM_DELTA &&
            value_distance(a->imm, 0) <= ENUM_MAX && argument_of(j->d->new, b->insn, b->dst, &target) >= 0)
                vec_push(&j->shifts, (ConstShift){ .match = j->match, .old = a->imm, .new = b->imm });
}

/* One value of a chain of cases, and where it leads. */
typedef struct Case {
        int64_t value;
        uint32_t to;
        uint32_t op;
} Case;

static size_t cases(const FnValues *f, Case *out) {
        size_t n = 0;

        for (uint32_t i = 0; i + 1 < f->n_ops && n < MAX_CASES; i++) {
                const Op *op = &f->ops[i], *jump = op + 1;
                uint32_t to = NO_OP;

                if (op->kind != OP_CMP || op->mnemonic != ZYDIS_MNEMONIC_CMP || !op->has_imm)
                        continue;
                if (jump->mnemonic == ZYDIS_MNEMONIC_JZ && jump->target)
                        to = values_op_at(f, jump->target);
                else if (jump->mnemonic == ZYDIS_MNEMONIC_JNZ)
                        to = i + 2;
                if (to < f->n_ops)
                        out[n++] = (Case){ op->imm, to, i };
        }
        return n;
}

static const CallSite *call_at(const FnValues *f, uint32_t op) {
        for (size_t i = 0; i < f->n_calls; i++)
                if (f->calls[i].op == op)
                        return &f->calls[i];
        return NULL;
}

/* The same instructions with the same effect, as far as they go straight on; two at least. */
static bool same_block(Judge *j, const PairView *p, uint32_t old, uint32_t new) {
        for (uint32_t n = 0; n < MAX_BLOCK && old + n < p->old->n_ops && new + n < p->new->n_ops; n++) {
                const Op *a = &p->old->ops[old + n], *b = &p->new->ops[new + n];

                if (!shape_equal(a, b) || a->imm != b->imm || (!a->rip && a->disp != b->disp))
                        return false;
                if (a->rip && place_of(j->d->old, (uint64_t)a->disp).kind == PLACE_CONST &&
                    !pointees_same(j->d, (uint64_t)a->disp, (uint64_t)b->disp))
                        return false;
                if (a->kind == OP_CALL) {
                        const CallSite *x = call_at(p->old, old + n), *y = call_at(p->new, new + n);

                        if (!x || !y || x->callee == ROOT_NONE || x->callee != y->callee)
                                return false;
                }
                if (a->kind == OP_JMP || a->kind == OP_JCC || a->kind == OP_RET)
                        return n > 0;
        }
        return true;
}

static const Case *case_of(const Case *c, size_t n, int64_t value) {
        for (size_t i = 0; i < n; i++)
                if (c[i].value == value)
                        return &c[i];
        return NULL;
}

/* What was done for one number is done for another one, and the reverse. */
static void judge_cases(Judge *j, const PairView *p) {
        Case old[MAX_CASES], new[MAX_CASES];
        size_t n = cases(p->old, old), m = cases(p->new, new);

        for (size_t k = 0; k < m; k++)
                for (size_t i = 0; i < k; i++) {
                        const Case *a = case_of(old, n, new[i].value), *b = case_of(old, n, new[k].value);

                        if (!a || !b || new[i].value == new[k].value || !same_block(j, p, a->to, new[k].to) ||
                            !same_block(j, p, b->to, new[i].to) || same_block(j, p, a->to, new[i].to) ||
                            !value_of_object(j, p->new, new[k].op, p->new->ops[new[k].op].dst))
                                continue;
                        judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                                  "what was done for %" PRId64 " is done for %" PRId64
                                  ", and the reverse: old objects may hold either",
                                  new[i].value, new[k].value);
                        return;
                }
}

/* Two entries of a jump table that changed places. */
static void judge_exchanged_entries(Judge *j, const PairView *p, const JumpTable *a, const JumpTable *b) {
        uint32_t n = MIN(MIN(a->n, b->n), MAX_CASES), to[MAX_CASES], from[MAX_CASES];

        for (uint32_t i = 0; i < n; i++) {
                uint64_t x = 0, y = 0;

                from[i] = table_entry(p->old, a, i, &x) ? values_op_at(p->old, x) : NO_OP;
                to[i] = table_entry(p->new, b, i, &y) ? values_op_at(p->new, y) : NO_OP;
        }
        for (uint32_t k = 0; k < n; k++)
                for (uint32_t i = 0; i < k; i++) {
                        if (from[i] == NO_OP || from[k] == NO_OP || to[i] == NO_OP || to[k] == NO_OP ||
                            from[i] == from[k] || !same_block(j, p, from[i], to[k]) ||
                            !same_block(j, p, from[k], to[i]) || same_block(j, p, from[i], to[i]))
                                continue;
                        judge_add(
                                j, REFUSAL_CODE_LAYOUT_SHIFT,
                                "entries %u and %u of a jump table changed places, as if an enumeration had "
                                "changed",
                                i, k);
                        return;
                }
}

void collect_enumerations(Judge *j, const PairView *p) {
        for (uint32_t i = 0; i < p->new->n_ops; i++) {
                if (p->how[i] != PAIR_SHAPE)
                        continue;
                collect_range(j, p, i);
                collect_set(j, p, i);
                collect_argument(j, p, i);
        }
}

void judge_enumerations(Judge *j, const PairView *p) {
        judge_cases(j, p);
        judge_numbered(j, p);
        for (size_t k = 0; k < p->new->n_tables; k++)
                for (size_t i = 0; i < p->old->n_tables; i++)
                        if (p->partner[p->new->tables[k].op] == p->old->tables[i].op) {
                                judge_exchanged_entries(j, p, &p->old->tables[i], &p->new->tables[k]);
                                judge_entries(j, p, &p->old->tables[i], &p->new->tables[k]);
                        }
}

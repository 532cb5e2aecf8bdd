/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <string.h>

/*
 * Bounds of indexes. A mask, a limit or a modulus that became larger lets an index go further than
 * before; when it then steps through an old array, that array may be shorter than the new code holds it
 * to be. Nothing else shows this: the place is a place in the array, as before. So what is computed with
 * the number is followed (through registers, stack slots, into callees and back to callers) to the
 * addresses that it becomes a part of.
 */

enum { MAX_SLOTS_TAINTED = 48, MAX_BOUND_OPS = 20000, MAX_BOUND_DEPTH = 2, MAX_BOUND_CALLERS = 12 };

typedef struct Slots { /* places in memory that were met: of the stack as instructions name them, of objects
                          by their root */
        int64_t disp[MAX_SLOTS_TAINTED];
        uint32_t root[MAX_SLOTS_TAINTED]; /* ROOT_NONE: of the stack */
        int8_t base[MAX_SLOTS_TAINTED];
        unsigned n;
} Slots;

typedef VEC(Access) Accesses;

typedef struct Taint {
        Judge *j;
        const FnValues *f;
        Side side;
        uint64_t
                *in; /* per op: registers (bits 0..15), slots (16..63) that hold something computed with it */
        bool *queued;
        uint32_t *queue;
        uint32_t n_queue;
        Slots slots;
        unsigned depth;
        bool found;
        Accesses *met; /* when given: what is indexed here, instead of finding one */
} Taint;

static bool taint_from(Judge *j, const FnValues *f, uint32_t op, uint64_t with, unsigned depth,
                       const Slots *slots, Accesses *met);

static uint64_t slot_bit(Taint *t, uint32_t i) {
        const Op *op = &t->f->ops[i];
        bool stack = op->base == 4 || op->base == 5;
        uint32_t root = ROOT_NONE;
        int64_t disp = op->disp;
        Slots *s = &t->slots;

        if (!op->has_mem || op->index >= 0 || op->kind == OP_LEA)
                return 0;
        if (!stack) {
                size_t n;
                const Access *a = accesses_of_op(t->f, i, &n);

                if (n != 1 || a->at.root == ROOT_NONE || a->at.root == ROOT_CONFLICT || a->at.stride)
                        return 0;
                root = a->at.root;
                disp = a->at.off;
        }
        for (unsigned k = 0; k < s->n; k++)
                if (s->disp[k] == disp && s->root[k] == root && (root != ROOT_NONE || s->base[k] == op->base))
                        return UINT64_C(1) << (16 + k);
        if (s->n == MAX_SLOTS_TAINTED)
                return 0;
        s->disp[s->n] = disp;
        s->root[s->n] = root;
        s->base[s->n] = op->base;
        return UINT64_C(1) << (16 + s->n++);
}

static void reach(Taint *t, uint32_t op, uint64_t with) {
        if (op >= t->f->n_ops || !(with & ~t->in[op]))
                return;
        t->in[op] |= with;
        if (!t->queued[op]) {
                t->queued[op] = true;
                t->queue[t->n_queue++] = op;
        }
}

static bool addressed_with(const Op *op, uint64_t with) {
        return op->has_mem && op->kind != OP_LEA &&
               ((op->base >= 0 && (with & (1u << op->base))) ||
                (op->index >= 0 && (with & (1u << op->index))));
}

/* An element of an old object. */
static bool into_old(const Judge *j, const Access *a) {
        Need need = { a->at, a->width, a->class, a->flags, false, false };

        return a->at.root != ROOT_STACK && (a->at.stride || a->at.root == ROOT_NONE) && !place_free(j, &need);
}

/* What the op touches is an old object, and the address is computed with the number. */
static bool indexes(Taint *t, uint32_t i, uint64_t with) {
        bool found = false;
        const Access *a;
        size_t n;

        if (!addressed_with(&t->f->ops[i], with))
                return false;
        a = accesses_of_op(t->f, i, &n);
        for (size_t k = 0; k < n; k++) {
                if (!into_old(t->j, &a[k]))
                        continue;
                if (!t->met)
                        return true;
                vec_push(t->met, a[k]);
                found = found || a[k].at.root == ROOT_NONE;
        }
        return found;
}

/* What holds it after the op. */
static uint64_t after(Taint *t, uint32_t i, uint64_t with) {
        const Op *op = &t->f->ops[i];
        uint64_t slot = slot_bit(t, i), out = with;
        uint16_t reads = op->reads;
        bool source;

        if (op->kind == OP_CALL)
                return with & ~(uint64_t)CALLER_SAVED;
        if (op->has_mem && op->kind != OP_LEA) {
                if (op->base >= 0)
                        reads &= (uint16_t) ~(1u << op->base);
                if (op->index >= 0)
                        reads &= (uint16_t) ~(1u << op->index);
        }
        source = (reads & with) != 0;
        if (op->has_mem && op->kind != OP_LEA && !op->mem_first && (with & slot))
                source = true;
        if (op->kind == OP_ZERO ||
            (op->kind == OP_AND && op->has_imm && op->imm >= 0 && !(op->has_mem && op->mem_first)))
                source = false; /* it has a bound of its own */
        out &= ~(uint64_t)op->writes;
        if (source)
                out |= op->writes & ~(1u << 4);
        if (op->has_mem && op->mem_first && op->kind == OP_MOV && slot) {
                out &= ~slot;
                if (op->src >= 0 && (with & (1u << op->src)))
                        out |= slot;
        }
        return out;
}

static void into_callee(Taint *t, uint32_t i, uint64_t with) {
        static const uint8_t arguments[VALUES_MAX_ARGS] = { 7, 6, 2, 1, 8, 9 };
        uint64_t given = 0;

        for (unsigned a = 0; a < VALUES_MAX_ARGS; a++)
                given |= with & (1u << arguments[a]);
        if (!given || t->depth >= MAX_BOUND_DEPTH)
                return;
        for (size_t k = 0; k < t->f->n_calls; k++)
                if (t->f->calls[k].op == i && t->f->calls[k].target != NO_TARGET &&
                    taint_from(t->j, values_of(t->j->w, t->side, t->f->calls[k].target), 0, given,
                               t->depth + 1, NULL, NULL))
                        t->found = true;
}

static void to_callers(Taint *t) {
        const CallRef *c;
        size_t n;

        if (t->depth >= MAX_BOUND_DEPTH)
                return;
        n = callers_of(t->j, t->side, t->f->function, &c);
        for (size_t i = 0; i < n && i < MAX_BOUND_CALLERS && !t->found; i++) {
                const FnValues *f;

                if (i && c[i].caller == c[i - 1].caller)
                        continue;
                f = values_of(t->j->w, t->side, c[i].caller);
                for (size_t k = 0; k < f->n_calls && !t->found; k++)
                        if (f->calls[k].target == t->f->function &&
                            taint_from(t->j, f, f->calls[k].op + 1, 1, t->depth + 1, NULL, NULL))
                                t->found = true;
        }
}

static uint32_t op_behind(const FnValues *f, uint64_t target) {
        return target ? values_op_at(f, target) : NO_OP;
}

static void step(Taint *t, uint32_t i) {
        const Op *op = &t->f->ops[i];
        uint64_t with = t->in[i], out;
        uint32_t to;

        if (indexes(t, i, with)) {
                t->found = true;
                return;
        }
        if (op->kind == OP_CALL || op->kind == OP_JMP)
                into_callee(t, i, with);
        if (op->kind == OP_RET && (with & 1))
                to_callers(t);
        out = after(t, i, with);
        if (op->kind == OP_JMP || op->kind == OP_JCC) {
                to = op_behind(t->f, op->target);
                if (to != NO_OP)
                        reach(t, to, out);
                for (size_t k = 0; k < t->f->n_tables && !op->target; k++)
                        for (uint32_t e = 0; t->f->tables[k].op == i && e < t->f->tables[k].n; e++) {
                                uint64_t target = 0;

                                if (table_entry(t->f, &t->f->tables[k], e, &target) &&
                                    (to = values_op_at(t->f, target)) != NO_OP)
                                        reach(t, to, out);
                        }
        }
        if (op->kind != OP_JMP && op->kind != OP_RET && op->kind != OP_STOP)
                reach(t, i + 1, out);
}

static bool taint_from(Judge *j, const FnValues *f, uint32_t op, uint64_t with, unsigned depth,
                       const Slots *slots, Accesses *met) {
        Taint t = {
                .j = j, .f = f, .side = f->code == j->d->new ? SIDE_NEW : SIDE_OLD, .depth = depth, .met = met
        };

        if (f->incomplete || f->n_ops > MAX_BOUND_OPS || op >= f->n_ops)
                return false;
        if (slots)
                t.slots = *slots;
        t.in = calloc(f->n_ops, sizeof(*t.in));
        t.queued = calloc(f->n_ops, sizeof(*t.queued));
        t.queue = calloc(f->n_ops, sizeof(*t.queue));
        if (!t.in || !t.queued || !t.queue)
                abort();
        reach(&t, op, with);
        while (t.n_queue && !t.found) {
                uint32_t i = t.queue[--t.n_queue];

                t.queued[i] = false;
                step(&t, i);
        }
        free(t.in);
        free(t.queued);
        free(t.queue);
        return t.found;
}

/* The number lets what is computed go further. */
static bool grows(const Op *a, const Op *b) {
        uint64_t all = b->size >= 8 ? UINT64_MAX : (UINT64_C(1) << (b->size * 8)) - 1;

        switch (b->kind) {
        case OP_AND:
                return b->imm >= 0 && ((uint64_t)b->imm & ~(uint64_t)a->imm & all) != 0;
        case OP_CMP:
                return b->mnemonic == ZYDIS_MNEMONIC_CMP && b->imm > a->imm && b->imm > 1;
        case OP_IMUL:
        case OP_SHL:
                return true;
        default:
                return false;
        }
}

bool old_number(const PairView *p, const Op *b) {
        size_t old = 0, new = 0;

        for (uint32_t i = 0; i < p->old->n_ops; i++)
                old += p->old->ops[i].mnemonic == b->mnemonic && p->old->ops[i].has_imm &&
                       p->old->ops[i].imm == b->imm;
        for (uint32_t i = 0; i < p->new->n_ops; i++)
                new += p->new->ops[i].mnemonic == b->mnemonic && p->new->ops[i].has_imm &&
                       p->new->ops[i].imm == b->imm;
        return old >= new;
}

/* What the op works on: its register, and the place that this was loaded from a few instructions
 * before, or the place in memory. */
static uint64_t worked_on(Taint *t, uint32_t i) {
        enum { REACH = 8 };
        const Op *op = &t->f->ops[i];
        uint64_t with;

        if (op->has_mem && (op->mem_first || op->kind == OP_CMP))
                return slot_bit(t, i);
        if (op->dst < 0)
                return 0;
        with = UINT64_C(1) << op->dst;
        for (uint32_t k = i; op->kind == OP_CMP && k-- > 0 && i - k <= REACH;) {
                if (!(t->f->ops[k].writes & (1u << op->dst)))
                        continue;
                if (t->f->ops[k].kind == OP_MOV && !t->f->ops[k].mem_first)
                        with |= slot_bit(t, k);
                break;
        }
        return with;
}

/* From a jump after a compare: the op that comes when the number is above the limit; NO_OP when that is not
 * told. */
static uint32_t way_above(const FnValues *f, uint32_t jump) {
        if (jump >= f->n_ops || f->ops[jump].kind != OP_JCC)
                return NO_OP;
        switch (f->ops[jump].mnemonic) {
        case ZYDIS_MNEMONIC_JNB:
        case ZYDIS_MNEMONIC_JNBE:
        case ZYDIS_MNEMONIC_JNL:
        case ZYDIS_MNEMONIC_JNLE:
                return op_behind(f, f->ops[jump].target);
        case ZYDIS_MNEMONIC_JB:
        case ZYDIS_MNEMONIC_JBE:
        case ZYDIS_MNEMONIC_JL:
        case ZYDIS_MNEMONIC_JLE:
                return jump + 1;
        default:
                return NO_OP;
        }
}

/* The register keeps the number, or a larger one. */
static bool counts_up(const Op *op, int8_t reg) {
        return op->kind == OP_ADD && op->dst == reg && op->has_imm && op->imm > 0 && !op->has_mem;
}

/* Registers that hold something computed with the register anywhere in the function, and the register. */
static uint16_t computed_with(const FnValues *f, int8_t reg) {
        uint16_t mask = (uint16_t)(1u << reg), before;

        do {
                before = mask;
                for (uint32_t i = 0; i < f->n_ops; i++) {
                        const Op *op = &f->ops[i];
                        bool address = op->has_mem && op->kind != OP_LEA;
                        uint16_t reads = op->reads;

                        if (address && op->base >= 0 && op->base != op->src)
                                reads &= (uint16_t) ~(1u << op->base);
                        if (address && op->index >= 0 && op->index != op->src)
                                reads &= (uint16_t) ~(1u << op->index);
                        if (op->kind != OP_CALL && (reads & mask))
                                mask |= op->writes;
                }
        } while (mask != before);
        return mask;
}

typedef struct Beyond { /* old code, for a number that is `least` and only counted up */
        Judge *j;
        const PairView *p;
        int8_t reg;
        uint16_t computed;
        int64_t least;
        bool further; /* it is held against a number that is the same in both builds and not below `least` */
        Accesses met;
        VEC(uint32_t) work;
} Beyond;

static void go_to(Beyond *y, uint32_t op) {
        if (op != NO_OP)
                vec_push(&y->work, op);
}

/* The jump that may go by what the op finds; NO_OP when something else comes first. */
static uint32_t jump_behind(const FnValues *f, uint32_t i) {
        do
                i++;
        while (i < f->n_ops &&
               (f->ops[i].kind == OP_MOV || f->ops[i].kind == OP_LEA || f->ops[i].kind == OP_NOP));
        return i < f->n_ops && f->ops[i].kind == OP_JCC ? i : NO_OP;
}

/* The op works on the number, or on what is computed with it, and a jump goes by what it finds. By another
 * number than this one it may lead anywhere: then it ends here. */
static void decide(Beyond *y, uint32_t i, uint32_t jump) {
        const FnValues *f = y->p->old;
        const Op *op = &f->ops[i];

        if (op->mnemonic != ZYDIS_MNEMONIC_CMP || op->has_mem || op->dst != y->reg || !op->has_imm)
                return;
        if (op->imm < y->least) {
                if (jump == i + 1)
                        go_to(y, way_above(f, jump));
        } else if (y->p->old_how[i] != PAIR_NONE && y->p->new->ops[y->p->old_partner[i]].imm == op->imm) {
                y->further = true;
                go_to(y, i + 1);
        }
}

static void step_beyond(Beyond *y, uint32_t i) {
        const FnValues *f = y->p->old;
        const Op *op = &f->ops[i];
        uint32_t jump;
        size_t n;
        const Access *a = accesses_of_op(f, i, &n);

        for (size_t k = 0; k < n && addressed_with(op, UINT64_C(1) << y->reg); k++)
                if (into_old(y->j, &a[k]))
                        vec_push(&y->met, a[k]);
        if (op->kind == OP_RET || op->kind == OP_STOP ||
            (op->kind == OP_CALL && (CALLER_SAVED & (1u << y->reg))) ||
            ((op->writes & (1u << y->reg)) && !counts_up(op, y->reg)))
                return;
        if ((op->reads & y->computed) && (jump = jump_behind(f, i)) != NO_OP) {
                decide(y, i, jump);
                return;
        }
        if (op->kind == OP_JMP || op->kind == OP_JCC)
                go_to(y, op_behind(f, op->target));
        if (op->kind != OP_JMP)
                go_to(y, i + 1);
}

/* Follows old code from `op` on; true when it comes to a further limit. What it indexes is left in y->met. */
static bool goes_on(Beyond *y, uint32_t op) {
        uint32_t n = y->p->old->n_ops;
        bool *seen = calloc((size_t)n + 1, 1);

        if (!seen)
                abort();
        y->computed = computed_with(y->p->old, y->reg);
        go_to(y, op);
        while (y->work.n) {
                uint32_t i = y->work.items[--y->work.n];

                if (i < n && !seen[i]) {
                        seen[i] = true;
                        step_beyond(y, i);
                }
        }
        free(seen);
        vec_free(&y->work);
        return y->further;
}

static bool among(const Accesses *set, const Access *a) {
        for (size_t i = 0; i < set->n; i++)
                if (value_equal(set->items[i].at, a->at) && set->items[i].width == a->width)
                        return true;
        return false;
}

/* Old code goes on beyond the old limit with that number, in the same arrays, to a further limit that has not
 * changed. */
static bool no_end(Judge *j, const PairView *p, uint32_t i) {
        const Op *b = &p->new->ops[i];
        uint32_t old = p->partner[i], above = way_above(p->old, old + 1);
        Beyond y = { .j = j, .p = p, .reg = p->old->ops[old].dst, .least = b->imm };
        Accesses new = { 0 };
        bool all;

        if (b->kind != OP_CMP || b->has_mem || b->dst < 0 || y.reg < 0 || above == NO_OP ||
            way_above(p->new, i + 1) == NO_OP)
                return false;
        all = goes_on(&y, above) && !taint_from(j, p->new, i + 1, UINT64_C(1) << b->dst, 0, NULL, &new);
        for (size_t k = 0; k < new.n &&all; k++)
                all = among(&y.met, &new.items[k]);
        all = all && new.n > 0;
        vec_free(&y.met);
        vec_free(&new);
        return all;
}

void judge_bounds(Judge *j, const PairView *p) {
        for (uint32_t i = 0; i < p->new->n_ops; i++) {
                const Op *b = &p->new->ops[i], *a;
                Taint met = { .f = p->new };
                uint64_t with;

                if (p->how[i] != PAIR_SHAPE || !b->has_imm)
                        continue;
                a = &p->old->ops[p->partner[i]];
                if (a->imm == b->imm || !grows(a, b) || old_number(p, b))
                        continue;
                with = worked_on(&met, i);
                if (!with || !taint_from(j, p->new, i + 1, with, 0, &met.slots, NULL) || no_end(j, p, i))
                        continue;
                judge_add(j, REFUSAL_CODE_ALLOCATION_SIZE,
                          "an index into an old array is computed with %" PRId64 " instead of %" PRId64
                          ": it may go further",
                          b->imm, a->imm);
                return;
        }
}

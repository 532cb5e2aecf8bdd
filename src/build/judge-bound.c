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
} Taint;

static bool taint_from(Judge *j, const FnValues *f, uint32_t op, uint64_t with, unsigned depth,
                       const Slots *slots);

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

/* What the op touches is an old object, and the address is computed with the number. */
static bool indexes(Taint *t, uint32_t i, uint64_t with) {
        const Op *op = &t->f->ops[i];
        const Access *a;
        size_t n;

        if (!op->has_mem || op->kind == OP_LEA ||
            !((op->base >= 0 && (with & (1u << op->base))) || (op->index >= 0 && (with & (1u << op->index)))))
                return false;
        a = accesses_of_op(t->f, i, &n);
        for (size_t k = 0; k < n; k++) {
                Need need = { a[k].at, a[k].width, a[k].class, a[k].flags, false, false };

                if (a[k].at.root != ROOT_STACK && (a[k].at.stride || a[k].at.root == ROOT_NONE) &&
                    !place_free(t->j, &need))
                        return true;
        }
        return false;
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
                               t->depth + 1, NULL))
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
                            taint_from(t->j, f, f->calls[k].op + 1, 1, t->depth + 1, NULL))
                                t->found = true;
        }
}

static uint32_t op_behind(const FnValues *f, uint64_t target) {
        return target ? op_at(f, target) : NO_OP;
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
                                    (to = op_at(t->f, target)) != NO_OP)
                                        reach(t, to, out);
                        }
        }
        if (op->kind != OP_JMP && op->kind != OP_RET && op->kind != OP_STOP)
                reach(t, i + 1, out);
}

static bool taint_from(Judge *j, const FnValues *f, uint32_t op, uint64_t with, unsigned depth,
                       const Slots *slots) {
        Taint t = { .j = j, .f = f, .side = f->code == j->d->new ? SIDE_NEW : SIDE_OLD, .depth = depth };

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
                if (!with || !taint_from(j, p->new, i + 1, with, 0, &met.slots))
                        continue;
                judge_add(j, REFUSAL_CODE_ALLOCATION_SIZE,
                          "an index into an old array is computed with %" PRId64 " instead of %" PRId64
                          ": it may go further",
                          b->imm, a->imm);
                return;
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

/*
 * Constants that changed live twice after a patch: the old one, to which the objects of the process
 * may point, and the new one, which carried code uses. That is right only as long as nobody keeps or
 * compares the address: code that stores it, returns it, hands it on or compares it would sooner or
 * later hold an old address against a new one. Text is left out: it is read, not compared by address.
 */

static bool inside(const Values *w, Value v, Side side, uint64_t addr, uint64_t size) {
        if (side == SIDE_OLD)
                return v.root == ROOT_IMAGE && (uint64_t)v.off - addr < size;
        if (v.root < ROOT_FIRST)
                return false;
        const Node *n = values_node(w, v.root);

        return (n->kind == NODE_FRESH_GLOBAL || n->kind == NODE_GLOBAL) && (uint64_t)n->off - addr < size;
}

/* Handing the address to a function of the C library that only reads what it is given keeps nothing. */
static bool reads_only(const Values *w, const CallSite *c) {
        const Node *n = c->callee < ROOT_FIRST ? NULL : values_node(w, c->callee);

        return n && n->kind == NODE_FUNCTION && n->known && !(n->known->flags & (KNOWN_FRESH | KNOWN_FREE)) &&
               (n->known->sizes || n->known->strings);
}

/* The op puts something into memory other than the stack. */
static bool stores(const FnValues *f, uint32_t i) {
        const Op *op = &f->ops[i];
        const Access *a;
        size_t n;

        if (op->kind != OP_MOV || !op->has_mem || !op->mem_first)
                return false;
        a = accesses_of_op(f, i, &n);
        return n == 0 || a->at.root != ROOT_STACK;
}

static bool keeps(Values *w, Side side, uint32_t function, uint64_t addr, uint64_t size) {
        const FnValues *f = values_of(w, side, function);

        if (!f || f->incomplete)
                return true;
        if (inside(w, f->result, side, addr, size))
                return true;
        for (size_t i = 0; i < f->n_calls; i++)
                for (unsigned k = 0; k < VALUES_MAX_ARGS && !reads_only(w, &f->calls[i]); k++)
                        if (inside(w, f->calls[i].args[k], side, addr, size))
                                return true;
        for (uint32_t i = 0; i < f->n_ops; i++) {
                const Op *op = &f->ops[i];

                if ((op->kind == OP_CMP || op->kind == OP_SUB || stores(f, i)) &&
                    f->op_value[i].root != VALUE_UNSET && inside(w, f->op_value[i], side, addr, size))
                        return true;
        }
        return false;
}

static const ConstTable *changed_at(const Diff *d, uint64_t new) {
        for (size_t i = 0; i < d->n_changed_consts; i++)
                if (new - d->changed_consts[i].new < d->changed_consts[i].size)
                        return &d->changed_consts[i];
        return table_at(d, new);
}

void judge_identity(Diff *d) {
        Values *w = NULL;

        if (d->n_changed_consts == 0 && d->n_tables == 0)
                return;
        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];
                const Function *f = match_old(d, m), *g = match_new(d, m);

                if (m->kind == MATCH_IDENTICAL || m->kind == MATCH_REMOVED)
                        continue;
                for (uint32_t k = 0; k < g->n_refs; k++) {
                        const Ref *r = &d->new->refs[g->ref + k];
                        const ConstTable *t = takes_address(r) ? changed_at(d, r->target) : NULL;
                        bool kept;

                        if (!t)
                                continue;
                        if (!w)
                                w = values_new(d);
                        if (m->kind == MATCH_CARRIED && f->n_refs == g->n_refs) {
                                uint64_t old = d->old->refs[f->ref + k].target;

                                kept = keeps(w, SIDE_OLD, m->old, old,
                                             MAX(const_extent(d->old, old), t->size));
                        } else {
                                kept = keeps(w, SIDE_NEW, m->new, t->new, t->size);
                        }
                        if (kept)
                                verdict_add(&d->verdict, REFUSAL_CODE_DATA_CONST, data_name(d, t->new),
                                            "it changed, and %s keeps or compares its address", g->name);
                }
        }
        values_free(w);
}

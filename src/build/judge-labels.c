/* SPDX-License-Identifier: Apache-2.0 */
#include "build/judge-parts.h"

#include <elf.h>
#include <string.h>

/*
 * Addresses inside of a function (labels of GNU C: `&&label`) that its code keeps: in an object, as a
 * protothread or code that was translated for an interpreter does. They lead into the old function for ever,
 * and new code that jumps there goes on with the new function's frame in the middle of the old code. A table
 * of labels that code only jumps through is a switch, and harmless.
 */

static bool inside(const Code *code, uint32_t function, uint64_t addr) {
        const CodePart *p = code_part_at(code, addr);

        return p && p->function == function && p->addr != addr;
}

/* The address of an instruction of its own is taken by the function. */
static bool takes_label(const Code *code, uint32_t function) {
        const Function *f = &code->functions[function];

        for (uint32_t i = 0; i < f->n_refs; i++) {
                const Ref *r = &code->refs[f->ref + i];

                if (takes_address(r) && inside(code, function, r->target))
                        return true;
        }
        return false;
}

/* A word of data holds one. */
static bool holds_label(const Code *code, uint32_t function, uint64_t at) {
        return inside(code, function, address_at(code->image, at));
}

/* It puts a word of such a table into memory, or the table's own address, or returns either. */
static bool keeps_label(Judge *j, uint32_t function) {
        const FnValues *f = values_of(j->w, SIDE_OLD, function);

        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];
                const Op *op = &f->ops[a->op];
                Value v = f->op_value[a->op];
                const Node *n;

                if (!(a->flags & ACCESS_WRITE) || a->width != 8 || op->kind != OP_MOV || !op->mem_first)
                        continue;
                if (v.root == ROOT_IMAGE && holds_label(j->d->old, function, (uint64_t)v.off))
                        return true;
                if (v.root < ROOT_FIRST || v.root == (uint32_t)VALUE_UNSET)
                        continue;
                n = values_node(j->w, v.root);
                if (n->kind == NODE_LOAD && n->a == ROOT_IMAGE &&
                    holds_label(j->d->old, function, (uint64_t)n->off))
                        return true;
        }
        return f->result.root == ROOT_IMAGE && holds_label(j->d->old, function, (uint64_t)f->result.off);
}

void judge_labels(Judge *j) {
        const Diff *d = j->d;

        for (size_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];
                const Function *f = match_old(d, m);

                if (m->kind == MATCH_CHANGED && f->has_indirect_jump &&
                    (takes_label(d->old, m->old) || keeps_label(j, m->old)))
                        verdict_add(j->v, REFUSAL_CODE_LABEL_KEPT, f->name,
                                    "it keeps the address of a place inside of itself");
        }
}

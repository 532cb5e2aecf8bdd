/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/values-run.h"

/*
 * Copies of whole objects. Who copies an object to memory of its own and reads a member there reads a member
 * of the object: such reads are noted in terms of the object. Which copy it is that is read is not followed
 * over the control flow; all that were made at that place count.
 */

enum { MAX_COPY = 1 << 16, COPY_DEPTH = 3 };

static bool is_own(const Run *r, uint32_t root) {
        return root == ROOT_STACK || (root >= ROOT_FIRST && r->w->nodes[root].kind == NODE_FRESH);
}

void note_copy(Run *r, Value to, Value from, int64_t size) {
        Copy c = { values_canonical(r->w, r->side, to), values_canonical(r->w, r->side, from),
                   (uint32_t)size };

        if (size <= 0 || size > MAX_COPY || c.to.stride || !is_own(r, c.to.root))
                return;
        r->copies_whole = true;
        if (r->record)
                vec_push(&r->copies, c);
}

void record_own_read(Run *r, Value at, uint32_t width, uint8_t class) {
        at = values_canonical(r->w, r->side, at);
        if (is_own(r, at.root))
                vec_push(&r->own_reads, (Access){ at, (uint16_t)MIN(width, UINT16_MAX), class, ACCESS_READ,
                                                  r->ops[r->op].insn, r->op });
}

static void push(Run *r, Access of, unsigned depth);

static void translate(Run *r, const Access *a, unsigned depth) {
        for (size_t i = 0; i < r->copies.n && depth < COPY_DEPTH; i++) {
                const Copy *c = &r->copies.items[i];
                Access of = *a;

                if (a->at.root != c->to.root || a->at.off < c->to.off || a->at.off - c->to.off >= c->size)
                        continue;
                of.at = value_add(r->w, c->from,
                                  (Value){ ROOT_NONE, a->at.stride, a->at.off - c->to.off, 0 });
                push(r, of, depth);
        }
}

static void push(Run *r, Access of, unsigned depth) {
        const Node *n = &r->w->nodes[of.at.root];

        if (of.at.root >= ROOT_FIRST && n->kind == NODE_JOIN) {
                uint16_t members = n->n_members;
                const Value *set = n->members;

                for (uint16_t i = 0; i < members; i++) {
                        Access one = of;

                        one.at = value_add(r->w, set[i], (Value){ ROOT_NONE, of.at.stride, of.at.off, 0 });
                        push(r, one, depth);
                }
        } else if (!values_is_own(r->w, of.at.root)) {
                vec_push(&r->copied, of);
        } else {
                translate(r, &of, depth + 1);
        }
}

void record_copied(Run *r) {
        for (size_t i = 0; i < r->own_reads.n && r->copies.n; i++)
                translate(r, &r->own_reads.items[i], 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "build/judge-parts.h"

#include <inttypes.h>

/*
 * Who copies an object as a whole to memory of its own, and reads a member there, reads a member of the
 * object: the old code must have known it. The copy itself shows nothing, as it has all bytes. An object that
 * is given by value lies among the arguments on the stack: each of these begins at a multiple of eight, so
 * that what is read elsewhere is a member, and the old function must have read it.
 */

bool copied_from(Judge *j, const FnValues *f, Value at, size_t *next, Value *from) {
        while (*next < f->n_copies) {
                const Copy *c = &f->copies[(*next)++];

                if (c->to.root != at.root || at.off < c->to.off || at.off - c->to.off >= c->size)
                        continue;
                *from = value_add(j->w, c->from, (Value){ ROOT_NONE, at.stride, at.off - c->to.off, 0 });
                return true;
        }
        return false;
}

/* The old function read that in a copy, too. */
static bool copied_before(const FnValues *old, const Access *a) {
        for (size_t i = 0; i < old->n_copied; i++) {
                const Access *o = &old->copied[i];

                if (o->at.root == a->at.root && o->at.off == a->at.off && o->at.stride == a->at.stride &&
                    o->width == a->width && o->class == a->class)
                        return true;
        }
        return false;
}

/* The object is a pointer and an index, either of which may be the pointer. */
static bool indexed(Judge *j, const PairView *p, const Need *need) {
        const Node *n = values_node(j->w, need->at.root);
        uint32_t of[2] = { n->a, n->b };

        for (unsigned i = 0; need->at.root >= ROOT_FIRST && n->kind == NODE_SUM && i < 2; i++) {
                Need one = *need;

                one.at = (Value){ of[i], 1, need->at.off, 0 };
                if (!value_is_count(j, of[i]) &&
                    (place_testified(p->old, &one) || testify(j, p->old_function, p->new, &one)))
                        return true;
                n = values_node(j->w, need->at.root);
        }
        return false;
}

void judge_copied(Judge *j, const PairView *p) {
        for (size_t i = 0; i < p->new->n_copied; i++) {
                const Access *a = &p->new->copied[i];
                Need need = need_of(p->new, a);

                if (a->at.root != ROOT_NONE && (place_free(j, &need) || place_testified(p->old, &need) ||
                                                place_testified_local(j, p, &need)))
                        continue;
                if (copied_before(p->old, a))
                        continue;
                if (a->at.root != ROOT_NONE && a->at.root != ROOT_CONFLICT &&
                    (indexed(j, p, &need) || testify(j, p->old_function, p->new, &need) ||
                     testify_callers(j, p->new_function, &need, 0)))
                        continue;
                judge_unproved(j, &need, "in a copy of the whole, where the old code never did");
        }
}

void judge_copied_added(Judge *j, uint32_t function) {
        const FnValues *f = values_of(j->w, SIDE_NEW, function);

        for (size_t i = 0; i < f->n_copied; i++) {
                Need need = need_of(f, &f->copied[i]);

                if (need.at.root == ROOT_NONE || need.at.root == ROOT_CONFLICT ||
                    !(testify_added(j, function, &need, 0) || added_indexed(j, function, &need)))
                        judge_unproved(j, &need, "in a copy of the whole, which no old code is known to do");
        }
}

void judge_given(Judge *j, const PairView *p) {
        for (size_t i = 0; i < p->new->n_given; i++) {
                const Access *a = &p->new->given[i];
                bool known = p->how[a->op] == PAIR_SAME;

                for (size_t k = 0; k < p->old->n_given && !known; k++)
                        known = p->old->given[k].at.off == a->at.off && p->old->given[k].width == a->width;
                if (known)
                        continue;
                judge_add(j, REFUSAL_CODE_LAYOUT_UNPROVED,
                          "reads %u bytes at +0x%" PRIx64
                          " of what it is given on the stack, where the old code never did",
                          a->width, (uint64_t)a->at.off - 8);
        }
}

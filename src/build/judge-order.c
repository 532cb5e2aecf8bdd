/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <inttypes.h>
#include <string.h>

/*
 * Constant tables whose elements stand elsewhere: an enumeration by which they are in order has one more in
 * the middle, or two changed places. Where the index comes out of an old object, that holds the place of the
 * old table, and meets another element of the new one. No number of the code need have changed.
 */

enum { MAX_ELEMENTS = 4096, MAX_MOVE = 16, WIDEST_ELEMENT = 256, BACK = 24 };

/* What the register held before the op was taken out of an old object, and perhaps computed with. */
static bool index_of_object(Judge *j, const FnValues *f, uint32_t op, int8_t reg) {
        static const int8_t arguments[16] = { -1, 3, 2, -1, -1, -1, 1, 0, 4, 5, -1, -1, -1, -1, -1, -1 };

        for (uint32_t i = op; reg >= 0 && i-- > 0 && i + BACK > op;) {
                const Op *x = &f->ops[i];
                const Access *a;
                size_t n;

                if (!(x->writes & (1u << reg)))
                        continue;
                if (x->kind == OP_CALL)
                        return false;
                if (x->kind == OP_LEA) {
                        if ((x->base >= 0) == (x->index >= 0))
                                return false;
                        reg = x->base >= 0 ? x->base : x->index;
                        continue;
                }
                if (x->has_mem) {
                        a = accesses_of_op(f, i, &n);
                        for (size_t k = 0; k < n; k++) {
                                Need need = { a[k].at, a[k].width, a[k].class, a[k].flags, false, false };

                                if (!place_free(j, &need))
                                        return true;
                        }
                        return false;
                }
                if (x->kind == OP_MOV && x->src >= 0)
                        reg = x->src;
                else if ((x->reads & ~(1u << reg)) || !(x->reads & (1u << reg)))
                        return false;
        }
        return reg >= 0 && op < BACK && arguments[reg] >= 0 &&
               given_from_object(j, f, (unsigned)arguments[reg]);
}

typedef struct Tables {
        Diff *d;
        uint64_t old, new, size; /* of one element */
        uint64_t n_old, n_new;   /* elements */
} Tables;

/* The texts that two words lead to that are distances from the start of their tables (clang). */
static bool distances_same(const Tables *t, uint64_t i, uint64_t k) {
        const uint8_t *a = image_bytes(t->d->old_image, t->old + i * 4, 4),
                      *b = image_bytes(t->d->new_image, t->new + k * 4, 4);
        int32_t v, w;

        if (t->size != 4 || !a || !b)
                return false;
        memcpy(&v, a, 4);
        memcpy(&w, b, 4);
        return v && w && place_of(t->d->old, t->old + (uint64_t)(int64_t)v).kind == PLACE_CONST &&
               place_of(t->d->new, t->new + (uint64_t)(int64_t)w).kind == PLACE_CONST &&
               pointees_same(t->d, t->old + (uint64_t)(int64_t)v, t->new + (uint64_t)(int64_t)w);
}

static bool element_same(const Tables *t, uint64_t i, uint64_t k) {
        const char *what = "";

        return object_same(t->d, t->old + i * t->size, t->new + k * t->size, t->size, &what) ||
               distances_same(t, i, k);
}

/* Element i of the old table is the element that is `move` further on in the new one, and not where it was.
 */
static bool moved_by(const Tables *t, uint64_t i, int64_t move) {
        int64_t k = (int64_t)i + move;

        return i < t->n_old && k >= 0 && (uint64_t)k < t->n_new && !(i < t->n_new && element_same(t, i, i)) &&
               element_same(t, i, (uint64_t)k);
}

/* Where the tables begin to differ, two elements or more that follow one another are further on by as many
 * places, or two changed places. */
static bool elements_moved(const Tables *t, int64_t *by) {
        uint64_t first = 0;

        while (first < t->n_old && first < t->n_new && element_same(t, first, first))
                first++;
        for (uint64_t i = first; i < t->n_old && i <= first + MAX_MOVE; i++)
                for (*by = -MAX_MOVE; *by <= MAX_MOVE; ++*by) {
                        if (*by == 0 || !moved_by(t, i, *by))
                                continue;
                        if (moved_by(t, i + 1, *by) &&
                            !(i + 1 < t->n_new && element_same(t, i, i + 1) && element_same(t, i + 1, i)))
                                return true;
                        if (moved_by(t, i + (uint64_t)*by, -*by))
                                return true;
                }
        return false;
}

/* Steps begin in the first element of the table, which is named by its old place where it lies between
 * neighbours that are as far apart as they were. */
static bool begins_in(const Node *n, Value at, uint64_t old, uint64_t n_old, uint64_t new, uint64_t n_new) {
        if (at.root == ROOT_IMAGE)
                return (uint64_t)at.off - old < n_old;
        return at.root >= ROOT_FIRST && n->kind == NODE_FRESH_GLOBAL &&
               (uint64_t)(n->off + at.off) - new < n_new;
}

/* The table at `new` was at `old`: whether the function steps through it by what old objects hold. */
static void judge_table(Judge *j, const FnValues *f, uint64_t old, uint64_t new) {
        uint64_t n_old = const_extent(j->d->old, old), n_new = const_extent(j->d->new, new);
        int64_t by;

        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];
                const Node *n = values_node(j->w, a->at.root);
                const Op *op = &f->ops[a->op];
                Tables t = { .d = (Diff *)j->d, .old = old, .new = new, .size = a->at.stride };

                if (!begins_in(n, a->at, old, MIN(n_old, WIDEST_ELEMENT), new, MIN(n_new, WIDEST_ELEMENT)) ||
                    t.size < 1 || t.size > WIDEST_ELEMENT || t.size < a->width || a->at.outer)
                        continue;
                t.n_old = MIN(n_old / t.size, MAX_ELEMENTS);
                t.n_new = MIN(n_new / t.size, MAX_ELEMENTS);
                if ((!index_of_object(j, f, a->op, op->index) && !index_of_object(j, f, a->op, op->base)) ||
                    !elements_moved(&t, &by))
                        continue;
                verdict_add(j->v, REFUSAL_CODE_LAYOUT_SHIFT, j->d->new->functions[f->function].name,
                            "elements of the constant table %s moved by %+" PRId64
                            ", and old objects hold places in it",
                            data_name(j->d, new), by);
                return;
        }
}

static bool is_constant(const Code *code, uint64_t addr) {
        PlaceKind kind = place_of(code, addr).kind;

        return kind == PLACE_CONST || kind == PLACE_RELRO;
}

static void judge_pair(Judge *j, const Match *m, const Ref *a, const Ref *b) {
        const MapEntry *e;

        if (!takes_address(a) || !takes_address(b) || !is_constant(j->d->old, a->target) ||
            !is_constant(j->d->new, b->target))
                return;
        e = diff_map(j->d, b->target);
        if (e && e->state == MAP_TESTIFIED)
                return; /* the same table */
        if (!j->w)
                j->w = values_new(j->d);
        if (!values_of(j->w, SIDE_NEW, m->new)->incomplete)
                judge_table(j, values_of(j->w, SIDE_NEW, m->new), a->target, b->target);
}

static const Ref *next_address(const Code *code, const Function *f, uint32_t *i) {
        for (; *i < f->n_refs; ++*i) {
                const Ref *r = &code->refs[f->ref + *i];

                if (takes_address(r) && is_constant(code, r->target) &&
                    !constant_is_text(code->image, r->target, const_extent(code, r->target)))
                        return r;
        }
        return NULL;
}

void judge_order(Diff *d) {
        Judge j = { .d = d, .v = &d->verdict };

        for (size_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];
                const Function *f = match_old(d, m), *g = match_new(d, m);

                if (m->kind != MATCH_CHANGED && m->kind != MATCH_CARRIED)
                        continue;
                /* tables are referred to in the order in which they were */
                for (uint32_t a = 0, b = 0;; a++, b++) {
                        const Ref *x = next_address(d->old, f, &a), *y = next_address(d->new, g, &b);

                        if (!x || !y)
                                break;
                        judge_pair(&j, m, x, y);
                }
        }
        free(j.callers[SIDE_OLD]);
        free(j.callers[SIDE_NEW]);
        values_free(j.w);
}

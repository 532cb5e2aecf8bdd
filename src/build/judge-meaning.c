/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * Places that are touched as before, and hold something else: an address that became a number, and
 * members of one width that changed places with one another.
 */

enum { MAX_MOVES = 400, MAX_EXCHANGED = 24 };

/* Notes an instruction that is the same, and now touches what another one of the old code touches. */
void note_move(Judge *j, const PairView *p, const Access *a) {
        const Access *o;
        size_t n;

        if (p->how[a->op] != PAIR_SHAPE || a->at.root == ROOT_NONE || a->at.root == ROOT_STACK ||
            a->at.root == ROOT_IMAGE)
                return;
        o = accesses_of_op(p->old, p->partner[a->op], &n);
        for (size_t i = 0; i < n; i++)
                if (o[i].at.root == a->at.root && o[i].at.off != a->at.off &&
                    o[i].at.stride == a->at.stride && has_place(p->new, &o[i])) {
                        vec_push(&j->moves, (PlaceMove){ j->match, o[i].at.off, a->at.off });
                        return;
                }
}

/* What touches one of two places of an object in a function, in order: the instruction but for its
 * displacement, and which of the two it is. Returns how many there are; at most `max` are written. */
static size_t sequence(const FnValues *f, uint32_t root, int64_t x, int64_t y, const Access **out,
                       size_t max) {
        size_t n = 0;

        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];

                if (a->at.root != root || a->at.stride || (a->at.off != x && a->at.off != y))
                        continue;
                if (n < max)
                        out[n] = a;
                n++;
        }
        return n;
}

/* All the function does with the two places it did with the other one of them. */
static bool exchanged(const PairView *p, uint32_t root, int64_t x, int64_t y) {
        const Access *a[MAX_EXCHANGED], *b[MAX_EXCHANGED];
        size_t n = sequence(p->old, root, x, y, a, MAX_EXCHANGED),
               m = sequence(p->new, root, x, y, b, MAX_EXCHANGED);

        if (n != m || n < 2 || n > MAX_EXCHANGED)
                return false;
        for (size_t i = 0; i < n; i++) {
                const Op *s = &p->old->ops[a[i]->op], *t = &p->new->ops[b[i]->op];

                if (a[i]->at.off == b[i]->at.off || s->mnemonic != t->mnemonic || s->dst != t->dst ||
                    s->src != t->src || s->width != t->width)
                        return false;
        }
        return true;
}

/* Notes pairs of places that a function exchanged, where the aligner took one for the other. */
void note_exchanges(Judge *j, const PairView *p) {
        for (size_t i = 0; i < p->new->n_places; i++) {
                const Access *a = &p->new->places[i];

                if (a->at.root == ROOT_NONE || a->at.root == ROOT_STACK || a->at.root == ROOT_IMAGE ||
                    a->at.stride)
                        continue;
                for (size_t k = i + 1;
                     k < p->new->n_places &&k < i + MAX_EXCHANGED && p->new->places[k].at.root == a->at.root;
                     k++) {
                        const Access *b = &p->new->places[k];

                        if (b->at.stride || b->width != a->width || b->class != a->class ||
                            b->at.off == a->at.off || !exchanged(p, a->at.root, a->at.off, b->at.off))
                                continue;
                        vec_push(&j->moves, (PlaceMove){ j->match, a->at.off, b->at.off });
                        vec_push(&j->moves, (PlaceMove){ j->match, b->at.off, a->at.off });
                }
        }
}

static bool moved(const Judge *j, uint32_t match, int64_t old, int64_t new) {
        for (size_t i = 0; i < j->moves.n; i++)
                if (j->moves.items[i].match == match && j->moves.items[i].old == old &&
                    j->moves.items[i].new == new)
                        return true;
        return false;
}

/* Two places that changed places with one another in several functions are members that were declared
 * the other way round. One function alone may have been mended. */
void judge_moves(Judge *j) {
        if (j->moves.n > MAX_MOVES)
                return; /* judged by everything else; this looks at pairs of pairs */
        for (size_t i = 0; i < j->moves.n; i++) {
                const PlaceMove *a = &j->moves.items[i];

                if (!moved(j, a->match, a->new, a->old))
                        continue;
                for (size_t k = 0; k < i; k++) {
                        const PlaceMove *b = &j->moves.items[k];

                        if (b->match == a->match || b->old != a->old || b->new != a->new ||
                            !moved(j, b->match, b->new, b->old))
                                continue;
                        j->subject = j->d->new->functions[j->d->matches[a->match].new].name;
                        j->of_subject = 0;
                        judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                                  "the places at %+" PRId64 " and %+" PRId64
                                  " changed places in several functions",
                                  a->old, a->new);
                        return;
                }
        }
}

static bool has_root(const uint32_t *roots, size_t n, uint32_t root) {
        for (size_t i = 0; i < n; i++)
                if (roots[i] == root)
                        return true;
        return false;
}

/*
 * What the old function took for an address (it went where that leads), the new one multiplies, or
 * indexes an array with, and no longer goes there.
 */
void judge_numbers(Judge *j, const PairView *p) {
        for (size_t i = 0; i < p->new->n_scaled; i++) {
                uint32_t root = p->new->scaled[i];
                size_t old, new;
                char what[200];

                if (has_root(p->old->scaled, p->old->n_scaled, root))
                        continue;
                places_of_root(p->old, root, &old);
                places_of_root(p->new, root, &new);
                if (!old || new)
                        continue;
                values_print(j->w, root, what, sizeof(what));
                judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT, "%s was an address, and is used as a number now",
                          what);
        }
}

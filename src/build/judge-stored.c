/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/facts.h"
#include "build/judge-parts.h"

#include <inttypes.h>

/*
 * Numbers that lie in memory and mean something else now. One function stores them, another one asks or uses
 * them; when an update changes both in a way that fits together, what the old code stored does not fit: a
 * length that counts the zero behind a text no longer, a count that begins at 1, a number that is stored in
 * network order or in milliseconds, a mark that objects bear from their beginning on.
 *
 * Which objects are of one type nothing tells, so places are one another's by their displacement and width.
 * What keeps that from being chance is that both sides must have changed, and by what makes up for the other.
 */

enum {
        MAX_CHANGED_FACTS = 4000
}; /* of each list: an update of so much is no mend, and pairs of pairs cost time */

typedef struct Beginning { /* a number that memory begins with now */
        Fact is;
        int64_t was; /* the number that it began with */
        bool set;    /* it was put there, and did not only lie there */
} Beginning;

/* In which forms a function stores and uses the number at a place: DID_*, all of them. */
typedef struct Forms {
        uint64_t place;
        uint32_t match;
        uint16_t width;
        uint16_t stored[2], used[2],
                carried[2]; /* per side; used: also asked; carried: used as it is, and not asked */
        bool stores[2], uses[2];
        bool asked; /* something that is not asked any more */
} Forms;

typedef struct Facts {
        Judge *j;
        FactList lost, gained; /* by functions that changed */
        FactList first;        /* of the gained ones: of places that the function had nothing to do with */
        VEC(Beginning) begun;
        VEC(Forms) forms; /* that have changed */
} Facts;

static bool has_fact(const FactList *all, size_t from, const Fact *f) {
        for (size_t i = from; i < all->n; i++)
                if (fact_equal(&all->items[i], f))
                        return true;
        return false;
}

/* What only one of two lists has. */
static void only_in(const FactList *one, const FactList *other, FactList *out) {
        for (size_t i = 0; i < one->n; i++)
                if (!has_fact(other, 0, &one->items[i]))
                        vec_push(out, one->items[i]);
}

static bool same_place(const Fact *a, const Fact *b) {
        return a->place == b->place && a->width == b->width;
}

static bool has_place_of(const FactList *all, const Fact *like) {
        for (size_t i = 0; i < all->n; i++)
                if (same_place(&all->items[i], like))
                        return true;
        return false;
}

/* The function writes there by an instruction that no fact tells of. */
static bool writes_otherwise(const Judge *j, const FnValues *f, const Fact *like) {
        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];

                if ((a->flags & ACCESS_WRITE) && a->at.root >= ROOT_FIRST &&
                    values_node(j->w, a->at.root)->kind == NODE_FRESH &&
                    (a->class == CLASS_VECTOR || f->ops[a->op].kind == OP_STRING || a->at.stride ||
                     fact_place(a->at) == like->place))
                        return true;
        }
        return false;
}

/* The function makes such memory, by the same allocator and of the same size. */
static bool makes(const FnValues *f, uint32_t root) {
        for (size_t i = 0; i < f->n_calls; i++)
                if (f->calls[i].result.root == root)
                        return true;
        return false;
}

/* A number other than 0 that the function newly puts into memory that it made, as the old one did. */
static void note_beginning(Facts *all, const FnValues *old, const FactList *before, const Fact *is) {
        Beginning b = { .is = *is };

        if (is->kind != FACT_STORE || !is->made || is->done || is->factor != 1 ||
            (is->from != FROM_NUMBER && is->from != FROM_ADDRESS) || !makes(old, is->root))
                return;
        for (size_t i = 0; i < before->n; i++) {
                const Fact *was = &before->items[i];

                if (was->kind != FACT_STORE || !was->made || !same_place(was, is))
                        continue;
                if (was->from != FROM_NUMBER || was->done || b.set)
                        return;
                b.was = was->number;
                b.set = true;
        }
        if (b.set ? b.was == is->number && is->from == FROM_NUMBER
                  : (is->from == FROM_NUMBER && !is->number) || writes_otherwise(all->j, old, is))
                return;
        vec_push(&all->begun, b);
}

static void add_form(Forms *forms, const Fact *f, Side side) {
        if (f->kind == FACT_STORE) {
                forms->stores[side] = true;
                forms->stored[side] |= f->done;
                return;
        }
        forms->uses[side] = true;
        forms->used[side] |= f->done;
        if (f->kind == FACT_USE && !f->number)
                forms->carried[side] |= f->done;
}

static void note_forms(Facts *all, const FactList *old, const FactList *new) {
        for (size_t i = 0; i < new->n; i++) {
                Forms forms = { .place = new->items[i].place,
                                .match = new->items[i].match,
                                .width = new->items[i].width };
                bool known = false;

                for (size_t k = 0; k < i && !known; k++)
                        known = same_place(&new->items[k], &new->items[i]);
                for (size_t k = 0; k < old->n && !known; k++)
                        if (same_place(&old->items[k], &new->items[i])) {
                                add_form(&forms, &old->items[k], SIDE_OLD);
                                forms.asked |=
                                        old->items[k].kind == FACT_ASK && !has_fact(new, 0, &old->items[k]);
                        }
                for (size_t k = i; k < new->n && !known; k++)
                        if (same_place(&new->items[k], &new->items[i]))
                                add_form(&forms, &new->items[k], SIDE_NEW);
                if (!known &&
                    (forms.stored[0] != forms.stored[1] || forms.used[0] != forms.used[1] || forms.asked))
                        vec_push(&all->forms, forms);
        }
}

static void compare_facts(Facts *all, uint32_t match) {
        const Match *m = &all->j->d->matches[match];
        FactList old = { 0 }, new = { 0 };
        size_t before = all->gained.n;

        if (m->old != NO_FUNCTION)
                facts_of(all->j->w, values_of(all->j->w, SIDE_OLD, m->old), match, &old);
        if (m->new != NO_FUNCTION)
                facts_of(all->j->w, values_of(all->j->w, SIDE_NEW, m->new), match, &new);
        only_in(&old, &new, &all->lost);
        only_in(&new, &old, &all->gained);
        for (size_t i = before; m->old != NO_FUNCTION && i < all->gained.n; i++) {
                if (!has_place_of(&old, &all->gained.items[i]))
                        vec_push(&all->first, all->gained.items[i]);
                note_beginning(all, values_of(all->j->w, SIDE_OLD, m->old), &old, &all->gained.items[i]);
        }
        note_forms(all, &old, &new);
        vec_free(&old);
        vec_free(&new);
}

/* What one function does no longer and another one does now has moved. */
static void drop_moved(Facts *all) {
        size_t kept = 0;

        for (size_t i = 0; i < all->gained.n; i++) {
                Fact *g = &all->gained.items[i];
                size_t k = 0;

                while (k < all->lost.n && !fact_equal(&all->lost.items[k], g))
                        k++;
                if (k == all->lost.n)
                        all->gained.items[kept++] = *g;
                else
                        all->lost.items[k] = all->lost.items[--all->lost.n];
        }
        all->gained.n = kept;
}

static const char *name_of(const Facts *all, uint32_t match) {
        const Match *m = &all->j->d->matches[match];

        return m->new != NO_FUNCTION ? all->j->d->new->functions[m->new].name
                                     : all->j->d->old->functions[m->old].name;
}

static void tell(const Facts *all, const Fact *store, uint32_t user, const char *how) {
        verdict_add(all->j->v, REFUSAL_CODE_MEANING_CHANGED, name_of(all, store->match),
                    "the number of %u bytes that it stores at %+" PRId64 " is %s, and %s makes up for that: "
                    "what the old code stored there means something else",
                    store->width, (int64_t)(store->place << 3) >> 3, how, name_of(all, user));
}

/* A number that is stored is larger by as much as what it is held against, or as what is taken off where it
 * is used. */
static bool shifted(const Fact *was, const Fact *is, int64_t by) {
        if (was->done != is->done || was->factor != is->factor)
                return false;
        if (is->kind == FACT_ASK)
                return number_minus(is->number, was->number) == by;
        return is->kind == FACT_USE && number_minus(was->number, is->number) == by;
}

/* The deeds that come to, or go from, what one function does with a number. */
static uint16_t change_of(const uint16_t mask[2], bool come) {
        return come ? mask[SIDE_NEW] & (uint16_t)~mask[SIDE_OLD] : mask[SIDE_OLD] & (uint16_t)~mask[SIDE_NEW];
}

/* The number is formed otherwise where it is stored, and formed back where it is used. */
static bool forms_fit(const Forms *store, const Forms *user) {
        enum { BOTH = DID_XOR | DID_SWAP | DID_NOT | DID_NEGATE | DID_ROTATE };

        if (!store->stores[SIDE_OLD] || !store->stores[SIDE_NEW] || !user->uses[SIDE_OLD] ||
            !user->uses[SIDE_NEW])
                return false;
        for (int come = 0; come < 2; come++) {
                uint16_t x = change_of(store->stored, come), y = change_of(user->used, come);

                if (store->match != user->match &&
                    ((x & y & BOTH) || (x & DID_SHIFT_UP && y & DID_SHIFT_DOWN) ||
                     (x & DID_SHIFT_DOWN && y & DID_SHIFT_UP)))
                        return true;
                if (x & DID_NEGATE && user->asked && store->match != user->match)
                        return true;
                if (x & DID_AND && change_of(user->carried, !come) & DID_AND)
                        return true; /* masked where it is used, and not where it is stored, or the reverse */
        }
        return false;
}

static void judge_forms(const Facts *all) {
        for (size_t i = 0; i < all->forms.n; i++)
                for (size_t k = 0; k < all->forms.n; k++) {
                        const Forms *store = &all->forms.items[i], *user = &all->forms.items[k];

                        if (store->place != user->place || store->width != user->width ||
                            !forms_fit(store, user))
                                continue;
                        tell(all,
                             &(Fact){ .place = store->place, .width = store->width, .match = store->match },
                             user->match, "stored in another form");
                        return;
                }
}

/* By how much numbers grow when they are of another unit of time; 0: they are not. */
static int64_t unit_of(int64_t was, int64_t is) {
        static const int64_t units[] = { 60, 1000, 3600, 1000000, 1000000000 };

        for (size_t i = 0; was && i < ELEMENTSOF(units); i++)
                if (is % units[i] == 0 && is / units[i] == was)
                        return units[i];
        return 0;
}

/* What is stored was multiplied by the unit, or a number that is added to it was. */
static int64_t unit_stored(const Fact *was, const Fact *is) {
        if (was->factor != is->factor)
                return unit_of(was->factor, is->factor);
        return was->from > FROM_UNKNOWN && was->from == is->from ? unit_of(was->number, is->number) : 0;
}

/* Goes through pairs of facts about the place that one function lost and gained. */
static bool judge_pair(const Facts *all, const Fact *was, const Fact *is) {
        int64_t by = number_minus(is->number, was->number);
        int64_t up = unit_stored(was, is), down = unit_stored(is, was);
        bool same_source = was->from == is->from && was->done == is->done && was->factor == is->factor &&
                           is->from != FROM_UNKNOWN && is->from != FROM_ADDRESS;

        for (size_t i = 0; i < all->lost.n; i++) {
                const Fact *a = &all->lost.items[i];

                if (!same_place(a, was) || a->match == was->match)
                        continue;
                for (size_t k = 0; k < all->gained.n; k++) {
                        const Fact *b = &all->gained.items[k];

                        if (b->match != a->match || b->kind != a->kind || !same_place(b, was))
                                continue;
                        if (same_source && by && shifted(a, b, by)) {
                                tell(all, is, b->match, "larger or smaller by a fixed number");
                                return true;
                        }
                        if ((up && unit_of(a->number, b->number) == up) ||
                            (down && unit_of(b->number, a->number) == down)) {
                                tell(all, is, b->match, "of another unit");
                                return true;
                        }
                }
        }
        return false;
}

static void judge_stores(const Facts *all) {
        for (size_t i = 0; i < all->lost.n; i++) {
                const Fact *was = &all->lost.items[i];

                if (was->kind != FACT_STORE)
                        continue;
                for (size_t k = 0; k < all->gained.n; k++) {
                        const Fact *is = &all->gained.items[k];

                        if (is->kind == FACT_STORE && is->match == was->match && same_place(was, is) &&
                            judge_pair(all, was, is))
                                return;
                }
        }
}

/* The question has another answer for the one number than for the other one. */
static bool tells_apart(const Fact *q, int64_t a, const Fact *is) {
        int64_t b = is->number;

        if (q->done || q->factor != 1 || (q->kind != FACT_ASK && q->kind != FACT_BITS))
                return false;
        if (is->from == FROM_ADDRESS)
                return q->kind == FACT_ASK && q->equal && q->number == a;
        if (q->kind == FACT_BITS)
                return (a & q->number) != (b & q->number);
        return q->equal ? a == q->number || b == q->number : (a <= q->number) != (b <= q->number);
}

static bool asks(const FactList *all, uint32_t match, const Fact *place) {
        for (size_t i = 0; i < all->n; i++)
                if (all->items[i].match == match && same_place(&all->items[i], place) &&
                    (all->items[i].kind == FACT_ASK || all->items[i].kind == FACT_BITS))
                        return true;
        return false;
}

static void tell_begun(const Facts *all, const Beginning *b, const Fact *user) {
        verdict_add(all->j->v, REFUSAL_CODE_MEANING_CHANGED, name_of(all, b->is.match),
                    "what it makes begins with another number (%u bytes at %+" PRId64
                    "), and %s tells them apart: "
                    "what the old code made has the old one, or none",
                    b->is.width, (int64_t)(b->is.place << 3) >> 3, name_of(all, user->match));
}

/* Memory begins with another number, and another function asks now what tells it from the old one, or no
 * longer asks what told it; or goes by it where it went by nothing. */
static bool judge_beginning(const Facts *all, const Beginning *b) {
        for (size_t i = 0; i < all->gained.n; i++) {
                const Fact *q = &all->gained.items[i];

                if (q->match != b->is.match && same_place(q, &b->is) && tells_apart(q, b->was, &b->is)) {
                        tell_begun(all, b, q);
                        return true;
                }
        }
        for (size_t i = 0; i < all->lost.n && b->set; i++) {
                const Fact *q = &all->lost.items[i];

                if (q->match != b->is.match && same_place(q, &b->is) && tells_apart(q, b->was, &b->is) &&
                    !asks(&all->gained, q->match, q)) {
                        tell_begun(all, b, q);
                        return true;
                }
        }
        for (size_t i = 0; i < all->first.n && b->is.from == FROM_NUMBER; i++) {
                const Fact *q = &all->first.items[i];

                if (q->match != b->is.match && same_place(q, &b->is) && q->kind == FACT_USE) {
                        tell_begun(all, b, q);
                        return true;
                }
        }
        return false;
}

void judge_stored(Judge *j) {
        const Diff *d = j->d;
        Facts all = { .j = j };

        if (d->verdict.n >= JUDGE_ENOUGH)
                return; /* nobody will accept all that, and it costs time */
        for (uint32_t i = 0; i < d->n_matches; i++)
                if (d->matches[i].kind != MATCH_IDENTICAL) /* a constant that differs may be what is stored */
                        compare_facts(&all, i);
        if (all.lost.n <= MAX_CHANGED_FACTS && all.gained.n <= MAX_CHANGED_FACTS) {
                drop_moved(&all);
                judge_stores(&all);
                judge_forms(&all);
                for (size_t i = 0; i < all.begun.n; i++)
                        if (has_fact(&all.gained, 0, &all.begun.items[i].is) &&
                            judge_beginning(&all, &all.begun.items[i]))
                                break;
        }
        vec_free(&all.first);
        vec_free(&all.begun);
        vec_free(&all.forms);
        vec_free(&all.lost);
        vec_free(&all.gained);
}

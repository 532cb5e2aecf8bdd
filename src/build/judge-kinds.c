/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Objects of libraries whose kind changed while their room did not: a spin lock where a mutex was, a
 * directory behind the pointer that led to a stream. No type need tell, and the image's own code touches
 * nothing of such an object. What tells its kind are the functions that it is given to: where the new code
 * gives a place that was there before to functions of one kind, and the old code gave that place to those of
 * another kind only, the object that lies there is misread.
 *
 * And objects that are made in another state: a mutex that is recursive now, a semaphore that begins at
 * another number. Those that the old code made are as it made them.
 */

typedef struct Kinds {
        Judge *j;
        const Match *match;
        uint8_t *far[2];
        GivenList of[2];
} Kinds;

/* It may lie in memory that was there before: not the function's own, and no variable that is new. */
static bool is_kept(const Judge *j, Value object) {
        while (object.root >= ROOT_FIRST && values_node(j->w, object.root)->kind == NODE_LOAD)
                object.root = values_node(j->w, object.root)->a;
        return object.root != ROOT_CONFLICT && !values_is_own(j->w, object.root);
}

/* The list has the object as that kind; else *other is another kind that it has it as, where there is one. */
static bool has_kind(const GivenList *all, const Given *g, const Given **other) {
        bool found = false;

        for (size_t i = 0; i < all->n; i++)
                if (all->items[i].kind != KIND_ATTRIBUTES && same_object(all->items[i].object, g->object)) {
                        found = found || all->items[i].kind == g->kind;
                        if (all->items[i].kind != g->kind)
                                *other = &all->items[i];
                }
        return found;
}

static void tell_kind(Kinds *k, const Given *is, const Given *was) {
        char what[200];

        values_print(k->j->w, is->object.root, what, sizeof(what));
        verdict_add(k->j->v, REFUSAL_CODE_OBJECT_KIND, k->j->d->new->functions[k->match->new].name,
                    "%s() is given %s%s (%+" PRId64
                    "), and the old code gave that to %s(): %s lies there, and "
                    "the new code takes it for %s",
                    is->name, is->object.root == ROOT_NONE ? "" : "what lies at ", what, is->object.off,
                    was->name, kind_name(was->kind), kind_name(is->kind));
}

static void judge_kind(Kinds *k, const Given *g) {
        GivenList users = { 0 };
        const Given *was = NULL, *still = NULL;

        if (g->kind == KIND_ATTRIBUTES || !is_kept(k->j, g->object) || has_kind(&k->of[SIDE_OLD], g, &was))
                return;
        if (!was) {
                given_by_users(k->j, k->far[SIDE_OLD], g->object, &users);
                if (has_kind(&users, g, &was))
                        was = NULL;
        }
        /* Where the new function gives it to those of the old kind, too, it knows which one is there. */
        if (was && !has_kind(&k->of[SIDE_NEW], was, &still))
                tell_kind(k, g, was);
        vec_free(&users);
}

/* The state that the call gives an object: `which` of the arguments behind it is a number that is not 0, what
 * all of these begin with. */
static bool sets_state(const Given *g, unsigned which) {
        return kind_state(g->name, which) && value_is_const(g->with[which]) && g->with[which].off != 0;
}

/* Or as it is told to: then its callers are judged. */
static bool has_state(const Judge *j, const GivenList *all, const Given *g, unsigned which) {
        for (size_t i = 0; i < all->n; i++) {
                Value state = all->items[i].with[which];

                if (same_object(all->items[i].object, g->object) &&
                    strcmp(all->items[i].name, g->name) == 0 &&
                    (same_object(state, g->with[which]) ||
                     (state.root >= ROOT_FIRST && values_node(j->w, state.root)->kind == NODE_PARAM)))
                        return true;
        }
        return false;
}

static bool has_object(const GivenList *all, Value object) {
        for (size_t i = 0; i < all->n; i++)
                if (same_object(all->items[i].object, object))
                        return true;
        return false;
}

/* Memory that the function allocates counts: its like has been made in the old state before. */
static bool is_made(const Judge *j, Value object) {
        return is_kept(j, object) ||
               (object.root >= ROOT_FIRST && values_node(j->w, object.root)->kind == NODE_FRESH);
}

/* An object that one side makes in a state, and the other one has and does not make so. */
static void judge_state(Kinds *k, const Given *g, Side side) {
        const GivenList *other = &k->of[side == SIDE_OLD ? SIDE_NEW : SIDE_OLD];
        GivenList users = { 0 };

        for (unsigned which = 0; which < ELEMENTSOF(g->with); which++) {
                if (!sets_state(g, which) || !is_made(k->j, g->object) || has_state(k->j, other, g, which))
                        continue;
                if (side == SIDE_NEW && !users.n)
                        given_by_users(k->j, k->far[SIDE_OLD], g->object, &users);
                if (has_object(other, g->object) || has_object(&users, g->object))
                        verdict_add(k->j->v, REFUSAL_CODE_DATA_INITIAL,
                                    k->j->d->new->functions[k->match->new].name,
                                    "%s(%" PRId64
                                    ") is %s an object of a library: those that were made before "
                                    "are in the old state",
                                    g->name, g->with[which].off,
                                    side == SIDE_NEW ? "newly called for" : "no longer called for");
        }
        vec_free(&users);
}

static void judge_match(Kinds *k) {
        given_by(k->j, k->far[SIDE_NEW], SIDE_NEW, k->match->new, &k->of[SIDE_NEW]);
        if (k->match->old != NO_FUNCTION)
                given_by(k->j, k->far[SIDE_OLD], SIDE_OLD, k->match->old, &k->of[SIDE_OLD]);
        for (size_t i = 0; i < k->of[SIDE_NEW].n; i++) {
                judge_kind(k, &k->of[SIDE_NEW].items[i]);
                judge_state(k, &k->of[SIDE_NEW].items[i], SIDE_NEW);
        }
        for (size_t i = 0; i < k->of[SIDE_OLD].n; i++)
                judge_state(k, &k->of[SIDE_OLD].items[i], SIDE_OLD);
        vec_free(&k->of[SIDE_OLD]);
        vec_free(&k->of[SIDE_NEW]);
        k->of[SIDE_OLD] = k->of[SIDE_NEW] = (GivenList){ 0 };
}

void judge_kinds(Judge *j) {
        const Diff *d = j->d;
        Kinds k = { .j = j };

        if (d->verdict.n >= JUDGE_ENOUGH)
                return; /* nobody will accept all that, and it costs time */
        k.far[SIDE_OLD] = given_far(j, SIDE_OLD);
        k.far[SIDE_NEW] = given_far(j, SIDE_NEW);
        for (size_t i = 0; i < d->n_matches; i++) {
                k.match = &d->matches[i];
                if ((k.match->kind == MATCH_CHANGED || k.match->kind == MATCH_ADDED) &&
                    k.far[SIDE_NEW][k.match->new])
                        judge_match(&k);
        }
        free(k.far[SIDE_OLD]);
        free(k.far[SIDE_NEW]);
}

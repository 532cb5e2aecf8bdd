/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/correspond-parts.h"
#include "build/passes.h"

#include <pthread.h>

/* Comparing all pairs once: two threads take a half each, where no two functions turn out to be one. */

enum { SHARED_REFS = 1 << 11 };

static void compare_matches(Work *w) {
        Diff *d = w->d;

        /* (a join makes them fewer) */
        for (uint32_t i = (uint32_t)w->from; i < MIN(w->to, d->n_matches); i++) {
                Become b = { i, d->matches[i].kind, NULL };

                if (w->join_asked && *w->join_asked)
                        return;
                if (b.kind == MATCH_IDENTICAL || b.kind == MATCH_CARRIED)
                        b = correspond_pair(w, i);
                if (b.kind != d->matches[i].kind)
                        vec_push(&w->becomes, b);
                if (b.kind == MATCH_CHANGED) {
                        align_match(d, w->arena, i);
                        correspond_aligned(w, i);
                }
        }
}

static void *compare_beside(void *w) {
        compare_matches(w);
        return NULL;
}

/* The match at which half of all references have been looked at; 0 when there are too few to share them. */
static size_t half_of_references(const Diff *d) {
        size_t sum = 0, i = 0;

        if (d->old->n_refs < SHARED_REFS)
                return 0;
        while (i < d->n_matches && sum < d->old->n_refs / 2) {
                const Function *f = match_old(d, &d->matches[i++]);

                sum += f ? f->n_refs : 0;
        }
        return i;
}

/* A vector behind another one. */
#define APPEND(to, from)                                  \
        do {                                              \
                for (size_t k = 0; k < (from)->n; k++)    \
                        vec_push((to), (from)->items[k]); \
        } while (0)

/* As compare_matches() for all of them, with two threads. False when two functions would have been joined,
 * which those that come after must know: all is as it was then. */
static bool compare_halves(Work *w, size_t half) {
        atomic_bool join_asked = false;
        Work b = { .d = w->d,
                   .arena = w->d->beside,
                   .late = w->late,
                   .from = half,
                   .to = w->d->n_matches,
                   .join_asked = &join_asked };
        size_t n_blames = w->blames.n;
        pthread_t id;

        if (pthread_create(&id, NULL, compare_beside, &b) != 0)
                return false;
        w->to = half;
        w->join_asked = &join_asked;
        compare_matches(w);
        w->join_asked = NULL;
        pthread_join(id, NULL);
        if (join_asked) {
                w->votes.n = w->consts.n = w->becomes.n = 0;
                w->blames.n = n_blames;
        } else {
                APPEND(&w->votes, &b.votes);
                APPEND(&w->consts, &b.consts);
                APPEND(&w->blames, &b.blames);
                APPEND(&w->becomes, &b.becomes);
                w->tls_moved = w->tls_moved || b.tls_moved;
        }
        vec_free(&b.votes);
        vec_free(&b.consts);
        vec_free(&b.blames);
        vec_free(&b.becomes);
        return !join_asked;
}

void correspond_pairs(Work *w, unsigned threads) {
        size_t half = threads > 1 ? half_of_references(w->d) : 0;

        w->votes.n = w->consts.n = w->becomes.n = 0;
        w->from = 0;
        w->tls_moved = false;
        if (!half || !compare_halves(w, half)) {
                w->to = SIZE_MAX;
                w->tls_moved = false;
                compare_matches(w);
        }
        w->d->tls_moved = w->d->tls_moved || w->tls_moved;
        for (size_t i = 0; i < w->becomes.n; i++)
                correspond_become(w, w->becomes.items[i].match, w->becomes.items[i].kind,
                                  w->becomes.items[i].why);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/correspond-parts.h"
#include "build/passes.h"

#include <elf.h>
#include <pthread.h>

/*
 * Comparing all pairs once. Two threads take a half each, and join no functions: a pair that asks for that is
 * compared when both have ended, in its turn, as is one that came to be by such a join. What a pair says
 * depends on the joins before it only where it asks for one itself; in a program at a fixed address, whose
 * constants may hold addresses of functions, on any.
 */

enum { SHARED_REFS = 1 << 11 };

static void compare_match(Work *w, uint32_t match) {
        Diff *d = w->d;
        Become b = { match, d->matches[match].kind, NULL };

        if (b.kind == MATCH_IDENTICAL || b.kind == MATCH_CARRIED)
                b = correspond_pair(w, match);
        if (b.kind != d->matches[match].kind)
                vec_push(&w->becomes, b);
        if (b.kind == MATCH_CHANGED) {
                align_match(d, w->arena, match);
                correspond_aligned(w, match);
        }
}

/* (a join makes them fewer) */
static void compare_from(Work *w, size_t from, size_t to) {
        for (size_t i = from; i < MIN(to, w->d->n_matches); i++)
                compare_match(w, (uint32_t)i);
}

/* What has been said so far. */
typedef struct Said {
        size_t votes, consts, blames, becomes;
} Said;

typedef struct Put { /* a match to be compared later */
        uint32_t match;
        Said before; /* it */
} Put;

typedef struct Share {
        Work w;
        size_t from, to;
        VEC(Put) put;
} Share;

static Said said(const Work *w) {
        return (Said){ w->votes.n, w->consts.n, w->blames.n, w->becomes.n };
}

static void *compare_share(void *argument) {
        Share *s = argument;
        Work *w = &s->w;

        for (size_t i = s->from; i < s->to; i++) {
                Put put = { (uint32_t)i, said(w) };

                w->join_asked = false;
                compare_match(w, put.match);
                if (w->join_asked) {
                        w->votes.n = put.before.votes;
                        w->consts.n = put.before.consts;
                        w->blames.n = put.before.blames;
                        w->becomes.n = put.before.becomes;
                }
                if (w->join_asked || w->d->matches[i].kind == MATCH_REMOVED)
                        vec_push(&s->put, put);
        }
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

#define APPEND(to, of, first, end)                       \
        do {                                             \
                for (size_t k = (first); k < (end); k++) \
                        vec_push((to), (of)->items[k]);  \
        } while (0)

/* What the share said between two moments. */
static void take_over(Work *w, const Share *s, Said from, Said to) {
        APPEND(&w->votes, &s->w.votes, from.votes, to.votes);
        APPEND(&w->consts, &s->w.consts, from.consts, to.consts);
        APPEND(&w->blames, &s->w.blames, from.blames, to.blames);
        APPEND(&w->becomes, &s->w.becomes, from.becomes, to.becomes);
}

/* Takes over what a share said, and compares what it left. `all`: as many matches as there were at first. */
static void join_share(Work *w, const Share *s, size_t all) {
        bool fixed = w->d->old_image->type == ET_EXEC || w->d->new_image->type == ET_EXEC;
        Said from = { 0 };

        w->tls_moved = w->tls_moved || s->w.tls_moved;
        for (size_t i = 0; i < s->put.n; i++) {
                const Put *put = &s->put.items[i];

                if (fixed && w->d->n_matches != all)
                        break;
                take_over(w, s, from, put->before);
                from = put->before;
                compare_match(w, put->match);
                if (fixed && w->d->n_matches != all) {
                        compare_from(w, put->match + 1, s->to);
                        return;
                }
        }
        if (fixed && w->d->n_matches != all)
                compare_from(w, s->from, s->to);
        else
                take_over(w, s, from, said(&s->w));
}

static void share_free(Share *s) {
        vec_free(&s->w.votes);
        vec_free(&s->w.consts);
        vec_free(&s->w.blames);
        vec_free(&s->w.becomes);
        vec_free(&s->put);
}

static void compare_shares(Work *w, size_t half) {
        size_t all = w->d->n_matches;
        Work share = { .d = w->d, .arena = w->d->arena, .late = w->late, .joins_later = true };
        Share a = { .w = share, .to = half }, b = { .w = share, .from = half, .to = all };
        bool beside;
        pthread_t id;

        b.w.arena = w->d->beside;
        beside = pthread_create(&id, NULL, compare_share, &b) == 0;
        compare_share(&a);
        if (beside)
                pthread_join(id, NULL);
        else
                compare_share(&b);
        join_share(w, &a, all);
        join_share(w, &b, all);
        share_free(&a);
        share_free(&b);
}

void correspond_pairs(Work *w, unsigned threads) {
        size_t half = threads > 1 ? half_of_references(w->d) : 0;

        w->votes.n = w->consts.n = w->becomes.n = 0;
        w->tls_moved = false;
        if (half)
                compare_shares(w, half);
        else
                compare_from(w, 0, SIZE_MAX);
        w->d->tls_moved = w->d->tls_moved || w->tls_moved;
        for (size_t i = 0; i < w->becomes.n; i++)
                correspond_become(w, w->becomes.items[i].match, w->becomes.items[i].kind,
                                  w->becomes.items[i].why);
}

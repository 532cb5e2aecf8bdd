/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/facts.h"
#include "build/judge-parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

/*
 * What the kernel made for the old code and keeps: descriptors that block or do not, that append or not, of
 * another clock. And times that were taken of another clock. Those that there are in the process are as the
 * old code made them, and new code that relies on the new way finds them.
 */

/* Descriptors; `argument`: which says how it is made, by the bits `mask`; `array`: which argument gets them,
 * -1: it is returned. What only says how it is opened, or whether another program gets it, is no matter. */
typedef struct Maker {
        const char *name;
        int8_t argument, array;
        int64_t mask;
} Maker;

enum { KEPT_FLAGS = O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECT | O_PATH };

static const Maker makers[] = {
        { "accept4", 3, -1, SOCK_NONBLOCK },    { "eventfd", 1, -1, EFD_SEMAPHORE | EFD_NONBLOCK },
        { "inotify_init1", 0, -1, O_NONBLOCK }, { "open", 1, -1, KEPT_FLAGS },
        { "open64", 1, -1, KEPT_FLAGS },        { "openat", 2, -1, KEPT_FLAGS },
        { "openat64", 2, -1, KEPT_FLAGS },      { "pipe2", 1, 0, O_NONBLOCK | O_DIRECT },
        { "socket", 1, -1, ~SOCK_CLOEXEC },     { "socketpair", 1, 3, ~SOCK_CLOEXEC },
        { "timerfd_create", 0, -1, -1 },
};

enum { MAX_MADE = 64 };

typedef struct Made {
        const Maker *how;
        int64_t state;
        uint32_t callee;
        Value array;
} Made;

typedef struct MadeList {
        Made items[MAX_MADE];
        size_t n;
} MadeList;

static const char *import_name(const Judge *j, const CallSite *c) {
        const Node *n = c->callee >= ROOT_FIRST ? values_node(j->w, c->callee) : NULL;

        return n && n->kind == NODE_FUNCTION && c->target == NO_TARGET ? n->name : NULL;
}

static void list_made(const Judge *j, const FnValues *f, MadeList *out) {
        for (size_t i = 0; i < f->n_calls; i++) {
                const CallSite *c = &f->calls[i];
                const char *name = import_name(j, c);

                for (size_t k = 0; name && k < ELEMENTSOF(makers) && out->n < MAX_MADE; k++)
                        if (strcmp(name, makers[k].name) == 0 && value_is_const(c->args[makers[k].argument]))
                                out->items[out->n++] = (Made){
                                        .how = &makers[k],
                                        .state = c->args[makers[k].argument].off & makers[k].mask,
                                        .callee = c->callee,
                                        .array = makers[k].array < 0 ? value_any() : c->args[makers[k].array],
                                };
        }
}

static bool has_made(const MadeList *all, const Made *m, bool same) {
        for (size_t i = 0; i < all->n; i++)
                if (all->items[i].how == m->how && (all->items[i].state == m->state) == same)
                        return true;
        return false;
}

/* The call's result, or what it leaves in the array, lies at a place that another function which changed has
 * to do with. */
static bool is_shared(const FactList *facts, uint32_t match, const Made *m) {
        uint64_t from = fact_returned(m->callee);

        for (size_t i = 0; i < facts->n; i++) {
                const Fact *s = &facts->items[i];
                bool here = s->match == match && s->kind == FACT_STORE && s->from == from;

                for (size_t k = 0; here && k < facts->n; k++)
                        if (facts->items[k].match != match && facts->items[k].place == s->place &&
                            facts->items[k].width == s->width)
                                return true;
                for (int64_t at = 0; at < 8 && s->match != match && m->how->array >= 0; at += 4) {
                        Value v = m->array;

                        v.off += at;
                        if (v.root != ROOT_NONE && v.root != ROOT_STACK && s->place == fact_place(v))
                                return true;
                }
        }
        return false;
}

/* A descriptor that the new function makes otherwise than the old one did. */
static bool made_otherwise(Judge *j, const Match *m, Made *out) {
        MadeList old = { 0 }, new = { 0 };

        list_made(j, values_of(j->w, SIDE_NEW, m->new), &new);
        if (!new.n)
                return false;
        list_made(j, values_of(j->w, SIDE_OLD, m->old), &old);
        for (size_t i = 0; i < new.n; i++)
                if (has_made(&old, &new.items[i], false) && !has_made(&old, &new.items[i], true)) {
                        *out = new.items[i];
                        return true;
                }
        return false;
}

static void judge_descriptor(Judge *j, FactList *facts, uint32_t match) {
        const Diff *d = j->d;
        Made made;

        if (!made_otherwise(j, &d->matches[match], &made))
                return;
        for (uint32_t i = 0, first = facts->n == 0; first && i < d->n_matches; i++)
                if (d->matches[i].kind == MATCH_CHANGED)
                        facts_of(j->w, values_of(j->w, SIDE_NEW, d->matches[i].new), i, facts);
        if (is_shared(facts, match, &made))
                verdict_add(j->v, REFUSAL_CODE_DATA_INITIAL, d->new->functions[d->matches[match].new].name,
                            "%s() makes a descriptor otherwise (0x%" PRIx64
                            "), which another function that changed "
                            "uses: those that there are were made in the old way",
                            made.how->name, (uint64_t)made.state);
}

/* Clocks that differ by more than how exact they are: a bit for each. */
enum { CLOCK_OF_DAY = 1, CLOCK_SINCE_START = 2, CLOCK_WITH_SLEEP = 4, CLOCK_OF_CPU = 8 };

static unsigned clock_of(const Judge *j, const CallSite *c) {
        const char *name = import_name(j, c);

        if (!name)
                return 0;
        if (strcmp(name, "time") == 0 || strcmp(name, "gettimeofday") == 0 || strcmp(name, "ftime") == 0)
                return CLOCK_OF_DAY;
        if (strcmp(name, "clock_gettime") != 0 || !value_is_const(c->args[0]))
                return 0;
        switch (c->args[0].off) {
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_REALTIME_ALARM:
                return CLOCK_OF_DAY;
        case CLOCK_MONOTONIC:
        case CLOCK_MONOTONIC_COARSE:
                return CLOCK_SINCE_START;
        case CLOCK_BOOTTIME:
        case CLOCK_BOOTTIME_ALARM:
                return CLOCK_WITH_SLEEP;
        case CLOCK_PROCESS_CPUTIME_ID:
        case CLOCK_THREAD_CPUTIME_ID:
                return CLOCK_OF_CPU;
        default:
                return 0;
        }
}

static unsigned clocks(const Judge *j, const FnValues *f, size_t *calls) {
        unsigned all = 0;

        *calls = 0;
        for (size_t i = 0; i < f->n_calls; i++) {
                unsigned one = clock_of(j, &f->calls[i]);

                all |= one;
                *calls += one != 0;
        }
        return all;
}

static void judge_clock(Judge *j, uint32_t match) {
        const Match *m = &j->d->matches[match];
        size_t before, after;
        unsigned old = clocks(j, values_of(j->w, SIDE_OLD, m->old), &before),
                 new = clocks(j, values_of(j->w, SIDE_NEW, m->new), &after);

        if (!(old & ~new) || !(new & ~old))
                return;
        if (before > 1 && after > 1)
                return; /* a time that it measures itself, from its beginning to its end */
        verdict_add(j->v, REFUSAL_CODE_MEANING_CHANGED, j->d->new->functions[m->new].name,
                    "it takes times of another clock: those that the old code took are of the old one");
}

void judge_made(Judge *j) {
        const Diff *d = j->d;
        FactList facts = { 0 };

        if (d->verdict.n >= JUDGE_ENOUGH)
                return; /* nobody will accept all that, and it costs time */
        for (uint32_t i = 0; i < d->n_matches; i++)
                if (d->matches[i].kind == MATCH_CHANGED) {
                        judge_descriptor(j, &facts, i);
                        judge_clock(j, i);
                }
        vec_free(&facts);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "build/votes.h"
#include "base/macro.h"
#include "build/passes.h"

#include <elf.h>

enum {
        ALIGN_MAX = 64,
        NEAREST = 4,  /* sure neighbours on a side that may agree with an edge */
        CROSSED = 256 /* edges on a side that are looked at for one that changed places with it */
};
#define NONE SIZE_MAX

/* What one side's code refers to, and how much of it no edge holds: unpaired[i] counts those before
 * targets[i]. */
typedef struct Targets {
        const Code *code;
        uint32_t *unpaired;
} Targets;

typedef struct Contest {
        const Edge *edges;
        Targets old, new;
        size_t *below, *above; /* the nearest sure edge of the same section; NONE */
} Contest;

typedef struct Section { /* the edges of one section */
        const ImageSection *new, *old;
        size_t first, end;
} Section;

typedef struct Spot {
        uint64_t new, old;
} Spot;

static int64_t distance(Spot s) {
        return (int64_t)(s.new - s.old);
}
static Spot spot(const Edge *e) {
        return (Spot){ e->new, e->old };
}
static Spot section_start(const Section *s) {
        return (Spot){ s->new->addr, s->old->addr };
}
static Spot section_end(const Section *s) {
        return (Spot){ s->new->addr + s->new->size, s->old->addr + s->old->size };
}

static Targets targets_of(const Diff *d, Arena *scratch, const Edge *edges, size_t n, bool old) {
        Targets t = { old ? d->old : d->new, NULL };
        bool *held = arena_newa(scratch, bool, t.code->n_targets + 1);

        t.unpaired = arena_newa(scratch, uint32_t, t.code->n_targets + 1);
        for (size_t i = 0; i < n; i++)
                if (!edges[i].loses)
                        held[target_from(t.code, old ? edges[i].old : edges[i].new)] = true;
        for (size_t i = 0; i < t.code->n_targets; i++)
                t.unpaired[i + 1] = t.unpaired[i] + !held[i];
        return t;
}

/* Something in (from, to) that code refers to and that no edge holds. */
static bool has_unpaired(const Targets *t, uint64_t from, uint64_t to) {
        return from + 1 < to &&
               t->unpaired[target_from(t->code, to)] > t->unpaired[target_from(t->code, from + 1)];
}

static uint64_t alignment(uint64_t addr) {
        return MIN(addr & -addr, (uint64_t)ALIGN_MAX);
}

/* Padding alone: what begins at `from` is a number that ends before the other begins, right behind it, and
 * that may be the first of several that got or lost an alignment. There must have been padding before, unless
 * `to` is sure. */
static bool padded(const Contest *c, Spot from, Spot to, int64_t by, bool sure) {
        unsigned old = 0, new = 0;

        return (uint64_t)(by < 0 ? -by : by) < alignment(by > 0 ? to.new : to.old) &&
               code_next_target(c->old.code, from.old) == to.old &&
               code_next_target(c->new.code, from.new) ==
                       to.new &&accessed_only(c->old.code, from.old, &old) &&
               accessed_only(c->new.code, from.new, &new) &&
               to.old - from.old >= old + !sure &&to.new - from.new >= new + !sure;
}

/* What lies between the two may have grown, or shrunk: a variable came or went there, or padding did. */
static bool explained(const Contest *c, Spot from, Spot to, bool sure) {
        int64_t by = distance(to) - distance(from);

        if (by == 0 || padded(c, from, to, by, sure))
                return true;
        return by > 0 ? has_unpaired(&c->new, from.new, to.new) : has_unpaired(&c->old, from.old, to.old);
}

/* Two variables of two functions that changed places, with nothing sure between them. */
static bool crossed(const Contest *c, const Section *s, size_t i, int64_t low, int64_t high) {
        const Edge *e = &c->edges[i];
        size_t first = c->below[i] == NONE ? s->first : c->below[i],
               last = c->above[i] == NONE ? s->end - 1 : c->above[i];

        first = MAX(first, i > CROSSED ? i - CROSSED : 0);
        last = MIN(last, i + CROSSED);
        for (size_t k = first; k <= last; k++) {
                const Edge *x = &c->edges[k];
                int64_t by = distance(spot(x));

                if (!x->loses && k != i && (x->sure || x->witness != e->witness) && by != low && by != high &&
                    (x->new < e->new) != (x->old < e->old))
                        return true;
        }
        return false;
}

/* One of the nearest sure edges on a side, or the section's end there, has that distance. */
static bool agrees(const Contest *c, size_t i, const size_t *next, Spot end, int64_t by) {
        unsigned seen = 0;

        for (size_t k = next[i]; k != NONE && seen < NEAREST; k = next[k], seen++)
                if (distance(spot(&c->edges[k])) == by)
                        return true;
        return seen < NEAREST && by == distance(end);
}

static bool doubtful(const Contest *c, const Section *s, size_t i) {
        Spot at = spot(&c->edges[i]);
        Spot below = c->below[i] == NONE ? section_start(s) : spot(&c->edges[c->below[i]]);
        Spot above = c->above[i] == NONE ? section_end(s) : spot(&c->edges[c->above[i]]);

        if (agrees(c, i, c->below, section_start(s), distance(at)))
                return false;
        if (explained(c, below, at, false) &&
            (agrees(c, i, c->above, section_end(s), distance(at)) || explained(c, at, above, true)))
                return false;
        return !crossed(c, s, i, distance(below), distance(above));
}

static bool counts(const Section *s, const Edge *e) {
        return !e->loses && e->old - s->old->addr <
                                    s->old->size; /* what moved to another section is refused as such later */
}

static void find_neighbours(Contest *c, const Section *s) {
        size_t last = NONE;

        for (size_t i = s->first; i < s->end; i++) {
                c->below[i] = last;
                if (c->edges[i].sure && counts(s, &c->edges[i]))
                        last = i;
        }
        last = NONE;
        for (size_t i = s->end; i-- > s->first;) {
                c->above[i] = last;
                if (c->edges[i].sure && counts(s, &c->edges[i]))
                        last = i;
        }
}

void votes_contest_distance(const Diff *d, Arena *scratch, Edge *edges, size_t n) {
        Contest c = { .edges = edges,
                      .old = targets_of(d, scratch, edges, n, true),
                      .new = targets_of(d, scratch, edges, n, false),
                      .below = arena_newa(scratch, size_t, n + 1),
                      .above = arena_newa(scratch, size_t, n + 1) };
        bool *loses = arena_newa(scratch, bool, n + 1);

        for (size_t from = 0; from < n;) {
                Section s = { .new = image_section_at(d->new_image, edges[from].new),
                              .first = from,
                              .end = from };

                /* Data among code (hand-written assembly has its constants there) moves as code does. */
                s.old = s.new && !(s.new->flags &SHF_EXECINSTR) ? image_section(d->old_image, s.new->name)
                                                                : NULL;
                while (s.old && s.end < n && edges[s.end].new - s.new->addr < s.new->size)
                        s.end++;
                if (s.end > from)
                        find_neighbours(&c, &s);
                for (size_t i = from; i < s.end; i++)
                        loses[i] = !edges[i].sure && counts(&s, &edges[i]) && doubtful(&c, &s, i);
                from = MAX(s.end, from + 1);
        }
        for (size_t i = 0; i < n; i++)
                edges[i].loses |= loses[i];
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "build/correspond-parts.h"
#include "build/passes.h"

#include <elf.h>
#include <string.h>

/*
 * Maps new addresses to old ones by what paired instructions refer to, and holds every pair of
 * functions against that map.
 *
 * Each reference of a pair with the same instructions, and each reference of an aligned instruction
 * of a changed pair, is one vote "new address b is old address a". For variables the map must be one
 * to one and must rise within a section (links keep the order of objects). A vote that the others
 * outweigh means that its function now refers to something else: it has changed, however equal its
 * instructions are. Votes that nothing outweighs are a conflict: neither side is believed. Nor is one
 * function alone whose variable would have moved among its neighbours with nothing that explains it.
 */

void correspond_become(Work *w, uint32_t match, MatchKind kind, const char *why) {
        Match *m = &w->d->matches[match];

        if (m->kind != MATCH_IDENTICAL && !(m->kind == MATCH_CARRIED && kind == MATCH_CHANGED))
                return;
        m->kind = kind;
        m->why = why;
        w->changed = true;
}

static bool tables_same(const Diff *d, const Function *f, const Function *g, uint64_t old, uint64_t new) {
        unsigned size_old = 0, size_new = 0;
        uint32_t n_old = jump_table(d->old, f, old, &size_old), n_new = jump_table(d->new, g, new, &size_new);

        if (n_old == 0 || n_new == 0 || size_old != size_new)
                return false;
        for (uint32_t i = 0; i < MIN(n_old, n_new); i++) {
                Place p = place_of(d->old, jump_table_entry(d->old, old, size_old, i));
                Place q = place_of(d->new, jump_table_entry(d->new, new, size_new, i));

                if (p.part != q.part || p.offset != q.offset)
                        return false;
        }
        return n_old == n_new || MIN(n_old, n_new) >= 4;
}

static void vote(Work *w, uint64_t old, uint64_t new, uint32_t match) {
        vec_push(&w->votes, (Vote){ .new = new, .old = old, .match = match });
}

/* Equal constants of programs at a fixed address hold equal addresses: the variables at them must be the
 * same. */
static void vote_words(Work *w, uint64_t old, uint64_t new, uint32_t match) {
        Diff *d = w->d;
        uint64_t size;

        if (d->old_image->type != ET_EXEC || d->new_image->type != ET_EXEC)
                return;
        size = MIN(const_extent(d->old, old), const_extent(d->new, new));
        for (uint64_t at = -old % 8; at + 8 <= size; at += 8) {
                const uint8_t *b = image_bytes(d->old_image, old + at, 8);
                uint64_t v = 0;
                PlaceKind kind;

                if (b)
                        memcpy(&v, b, sizeof(v));
                if (v < d->old_image->lo || v >= d->old_image->hi)
                        continue;
                kind = place_of(d->old, v).kind;
                if (kind == PLACE_DATA || kind == PLACE_RELRO)
                        vote(w, v, v, match);
        }
}

enum { WIDEST_READ = 64 }; /* bytes: a register of AVX-512 */

typedef enum RefResult { REF_SAME, REF_OTHER, REF_CONST } RefResult;

static void join_places(Work *w, const Place *p, const Place *q) {
        const Diff *d = w->d;

        if (p->kind != PLACE_FUNCTION || q->kind != PLACE_FUNCTION ||
            d->matches[d->old_match[p->index]].kind != MATCH_REMOVED ||
            d->matches[d->new_match[q->index]].kind != MATCH_ADDED)
                return;
        if (w->joins_later) {
                w->join_asked = true;
                return;
        }
        if (p->part || p->offset || q->part || q->offset)
                return;
        if ((w->late || match_likeness(w->d, p->index, q->index) >= 50) &&
            !(w->guess && match_twin_of_more(w->d, p->index)) &&
            match_join(w->d, p->index, q->index, BASIS_CALLER))
                w->changed = true;
}

/* Both are the end of the same section: start-up code of the compiler refers to such places, and
 * what happens to begin there is none of its business. */
static bool both_ends(const Diff *d, uint64_t old, uint64_t new) {
        for (size_t i = 0; i < d->old_image->n_sections; i++) {
                const ImageSection *s = &d->old_image->sections[i], *t;

                if (!(s->flags & SHF_ALLOC) || (s->flags & SHF_TLS) ||
                    align_up(s->addr + s->size, 8) != align_up(old, 8))
                        continue;
                t = image_section(d->new_image, s->name);
                if (t && align_up(t->addr + t->size, 8) == align_up(new, 8))
                        return true;
        }
        return false;
}

/* The linker gives a program copies of libraries' variables, each at a place as good as any other: what is
 * there goes by its name. */
static bool copies_same(const Diff *d, uint64_t old, uint64_t new) {
        const ImageReloc *r = image_reloc_at(d->old_image, old), *s = image_reloc_at(d->new_image, new);
        const ImageSymbol *a, *b;

        r = r && r->type == R_X86_64_COPY ? r : NULL;
        s = s && s->type == R_X86_64_COPY ? s : NULL;
        if (!r || !s)
                return !r && !s;
        a = &d->old_image->dynsyms[r->symbol];
        b = &d->new_image->dynsyms[s->symbol];
        return strcmp(a->name, b->name) == 0 && strcmp(a->version, b->version) == 0;
}

/* Compares what two references of a pair refer to. Variables vote, and count as the same until the
 * votes are counted. `ref` is the old reference where the pair are the same instructions, else NULL. */
static RefResult compare_targets(Work *w, const Function *f, const Function *g, const Ref *ref, uint64_t old,
                                 uint64_t new, uint32_t match, const char **why) {
        Diff *d = w->d;
        Place p = place_of(d->old, old), q = place_of(d->new, new);
        uint64_t extent, width = 0;
        bool same;

        if (f->uncovered && both_ends(d, old, new))
                return REF_SAME;
        if (p.kind != q.kind) {
                /* A call through the PLT that is now direct, a variable that is now constant, ... */
                *why = "refers to another kind of thing";
                return REF_OTHER;
        }
        switch (p.kind) {
        case PLACE_FUNCTION: {
                const Match *m;

                join_places(w, &p, &q);
                m = &d->matches[d->old_match[p.index]];
                if (m->new == q.index && p.part == q.part &&p.offset == q.offset)
                        return REF_SAME;
                *why = arena_printf(w->arena, "refers to %s instead of %s", d->new->functions[q.index].name,
                                    d->old->functions[p.index].name);
                return REF_OTHER;
        }
        case PLACE_IMPORT:
                if (p.slot == q.slot && p.offset == q.offset && strcmp(p.name, q.name) == 0 &&
                    strcmp(p.version, q.version) == 0)
                        return REF_SAME;
                *why = arena_printf(w->arena, "refers to %s instead of %s", q.name, p.name);
                return REF_OTHER;
        case PLACE_TLS:
                if (p.type == q.type && p.offset == q.offset && strcmp(p.name, q.name) == 0)
                        return REF_SAME;
                /* (nothing but the place tells local ones apart) */
                w->tls_moved = w->tls_moved || (p.type == q.type && !p.name[0] && !q.name[0]);
                *why = "refers to another thread-local variable";
                return REF_OTHER;
        case PLACE_POINTER:
                if (p.slot != q.slot || p.type != q.type) {
                        *why = "refers to another kind of pointer";
                        return REF_OTHER;
                }
                return compare_targets(w, f, g, NULL, p.target, q.target, match, why);
        case PLACE_CONST:
                if (strcmp(p.section->name, q.section->name) != 0) {
                        *why = "a constant moved to another section";
                        return REF_CONST;
                }
                if (tables_same(d, f, g, old, new))
                        return REF_SAME;
                extent = MIN(const_extent(d->old, old), const_extent(d->new, new));
                same = unrelocated(d->old_image, old, const_extent(d->old, old)) &&
                       constants_same(d, old, new);
                if (ref && !takes_address(ref) && (!same || extent < WIDEST_READ))
                        width = access_width(d->old, ref->insn);
                /* Another reference into the middle of what is read at once ends the constant too early. */
                if (same && (width <= extent || constant_bytes_same(d, old, new, width))) {
                        vec_push(&w->consts, (Vote){ .new = new, .old = old, .match = match });
                        vote_words(w, old, new, match);
                        return REF_SAME;
                }
                vec_push(&w->blames, (Blame){ new, const_extent(d->new, new) });
                /* What lies behind (the padding of the next one) is nothing to an instruction that goes no
                 * further; it may be to those who have the address of what contains this: they are blamed. */
                if (width && unrelocated(d->old_image, old, width) && unrelocated(d->new_image, new, width) &&
                    constant_bytes_same(d, old, new, width)) {
                        vote_words(w, old, new, match);
                        return REF_SAME;
                }
                *why = "a constant that it uses changed";
                return REF_CONST;
        case PLACE_RELRO:
        case PLACE_DATA:
                if (!copies_same(d, old, new)) {
                        *why = "refers to another variable of a library";
                        return REF_OTHER;
                }
                vote(w, old, new, match);
                return REF_SAME;
        case PLACE_OTHER:
                if ((p.section == NULL) != (q.section == NULL)) {
                        *why = "refers to another kind of thing";
                        return REF_OTHER;
                }
                if (p.section && q.section && strcmp(p.section->name, q.section->name) == 0 &&
                    p.offset == q.offset)
                        return REF_SAME;
                vote(w, old, new, match);
                return REF_SAME;
        }
        return REF_OTHER;
}

/* What the kind of a match is when one of its references says `found`. */
static void find_kind(Become *b, MatchKind found, const char *why) {
        if (b->kind != MATCH_IDENTICAL && !(b->kind == MATCH_CARRIED && found == MATCH_CHANGED))
                return;
        b->kind = found;
        b->why = why;
}

Become correspond_pair(Work *w, uint32_t match) {
        Diff *d = w->d;
        const Match *m = &d->matches[match];
        const Function *f = match_old(d, m), *g = match_new(d, m);
        Become b = { match, m->kind, m->why };
        const char *why = "";

        if (f->n_refs != g->n_refs) {
                find_kind(&b, MATCH_CHANGED, "references");
                return b;
        }
        for (uint32_t i = 0; i < f->n_refs; i++) {
                const Ref *x = &d->old->refs[f->ref + i], *y = &d->new->refs[g->ref + i];
                RefResult r;

                if (x->kind != y->kind || x->field_size != y->field_size) {
                        find_kind(&b, MATCH_CHANGED, "references");
                        continue;
                }
                r = compare_targets(w, f, g, x, x->target, y->target, match, &why);
                if (r != REF_SAME)
                        find_kind(&b, r == REF_CONST ? MATCH_CARRIED : MATCH_CHANGED, why);
        }
        if (b.kind != MATCH_CHANGED && !exceptions_same(d, f, g))
                find_kind(&b, MATCH_CHANGED, "what it catches");
        return b;
}

/* The nth reference of an instruction. Callers go through a function in order: `hint` is where the
 * last one was found. */
static const Ref *ref_of_insn(const Code *code, const Function *f, uint64_t insn, uint32_t nth,
                              uint32_t *hint) {
        for (uint32_t step = 0; step < f->n_refs; step++) {
                uint32_t i = *hint + step < f->n_refs ? *hint + step : *hint + step - f->n_refs;

                if (code->refs[f->ref + i].insn != insn || (i > 0 && code->refs[f->ref + i - 1].insn == insn))
                        continue;
                *hint = i;
                if (i + nth >= f->n_refs || code->refs[f->ref + i + nth].insn != insn)
                        return NULL;
                return &code->refs[f->ref + i + nth];
        }
        return NULL;
}

enum {
        ALIGNED_RUN = 3,
        DATA_DEPTH = 64, /* how far pointers in data are followed from what code refers to */
};

/* References of aligned instructions vote when enough neighbours are aligned too. */
void correspond_aligned(Work *w, uint32_t match) {
        Diff *d = w->d;
        const Match *m = &d->matches[match];
        const Function *f = match_old(d, m), *g = match_new(d, m);
        const Alignment *al = &d->alignments[match];
        size_t run = 0, n_blames = w->blames.n;
        uint32_t hint_old = 0, hint_new = 0;
        const char *why;

        w->guess = f->norm != g->norm;
        for (size_t i = 0; i <= al->n; i++) {
                bool both = i < al->n && al->pairs[i].old != UINT32_MAX && al->pairs[i].new != UINT32_MAX;

                if (both) {
                        run++;
                        continue;
                }
                if (run >= ALIGNED_RUN || run == al->n)
                        for (size_t k = i - run; k < i; k++) {
                                const Insn *x = &d->old->insns[al->pairs[k].old],
                                           *y = &d->new->insns[al->pairs[k].new];

                                if (!(x->flags & INSN_REF) || !(y->flags & INSN_REF))
                                        continue;
                                for (uint32_t nth = 0; nth < 2; nth++) {
                                        const Ref *a =
                                                ref_of_insn(d->old, f, insn_addr(d->old, x), nth, &hint_old);
                                        const Ref *b =
                                                ref_of_insn(d->new, g, insn_addr(d->new, y), nth, &hint_new);

                                        if (a && b && a->kind == b->kind)
                                                compare_targets(w, f, g, NULL, a->target, b->target, match,
                                                                &why);
                                }
                        }
                run = 0;
        }
        w->guess = false;
        w->blames.n = n_blames; /* here another constant may simply have been chosen */
}

int vote_compare(const void *x, const void *y) {
        const Vote *a = x, *b = y;

        if (a->new != b->new)
                return a->new < b->new ? -1 : 1;
        return a->old < b->old ? -1 : a->old > b->old;
}

static int by_old_compare(const void *x, const void *y, void *edges) {
        const Edge *a = (const Edge *)edges + *(const uint32_t *)x,
                   *b = (const Edge *)edges + *(const uint32_t *)y;

        if (a->old != b->old)
                return a->old < b->old ? -1 : 1;
        return a->new < b->new ? -1 : a->new > b->new;
}

/* True when the undisputed neighbours on both sides lie at the same distance as this edge. */
static bool fits_neighbours(const Work *w, size_t i) {
        const Edge *e = &w->edges[i];
        const ImageSection *s = image_section_at(w->d->new_image, e->new);
        int found = 0;

        for (int side = -1; side <= 1; side += 2)
                for (size_t k = i, steps = 0; steps < 64; steps++) {
                        const Edge *n;

                        if (side < 0 ? k == 0 : k + 1 >= w->n_edges)
                                break;
                        k += (size_t)side;
                        n = &w->edges[k];
                        if (n->new == e->new || n->loses || (k > 0 && w->edges[k - 1].new == n->new) ||
                            (k + 1 < w->n_edges && w->edges[k + 1].new == n->new))
                                continue;
                        if (image_section_at(w->d->new_image, n->new) != s)
                                break;
                        if (n->new - n->old != e->new - e->old)
                                return false;
                        found++;
                        break;
                }
        return found > 0;
}

/* Of several edges at one end, all but the winner lose; with no clear winner all do. */
static void contest(Work *w, const uint32_t *group, size_t n) {
        size_t best = 0, second = 0, fits = 0, fit = 0;

        if (n < 2)
                return;
        for (size_t i = 0; i < n; i++) {
                if (w->edges[group[i]].votes > w->edges[group[best]].votes)
                        best = i;
                if (fits_neighbours(w, group[i])) {
                        fits++;
                        fit = i;
                }
        }
        for (size_t i = 0; i < n; i++)
                if (i != best && w->edges[group[i]].votes > second)
                        second = w->edges[group[i]].votes;
        bool clear = w->edges[group[best]].votes > second;

        if (fits == 1 && (!clear || fit == best)) {
                best = fit;
                clear = true;
        } else if (fits == 1) {
                clear = false; /* the majority and the neighbours disagree */
        }
        for (size_t i = 0; i < n; i++)
                if (!clear || i != best)
                        w->edges[group[i]].loses = true;
}

enum { SURE_VOTES = 2 };

/* A variable that moved to another section has no order there (it is refused as such later); and
 * what several witnesses agree on needs none. */
static bool out_of_order_allowed(const Work *w, size_t i) {
        const Edge *e = &w->edges[i];
        const ImageSection *s = image_section_at(w->d->old_image, e->old),
                           *t = image_section_at(w->d->new_image, e->new);

        return e->votes >= SURE_VOTES || (s && t && strcmp(s->name, t->name) != 0);
}

/* Edges that go against the order of the others in their section lose. */
static void contest_order(Work *w) {
        uint32_t *lis = arena_newa(w->scratch, uint32_t, w->n_edges + 1);
        uint32_t *previous = arena_newa(w->scratch, uint32_t, w->n_edges + 1);

        for (size_t from = 0; from < w->n_edges;) {
                const ImageSection *s = image_section_at(w->d->new_image, w->edges[from].new);
                size_t to = from;
                uint32_t length = 0;

                while (to < w->n_edges &&
                       (s ? w->edges[to].new - s->addr < s->size || w->edges[to].new == s->addr
                          : image_section_at(w->d->new_image, w->edges[to].new) == NULL))
                        to++;
                if (to == from)
                        to++;
                for (size_t i = from; i < to; i++) {
                        uint32_t lo = 0, hi = length;

                        if (w->edges[i].loses || out_of_order_allowed(w, i))
                                continue;
                        while (lo < hi) {
                                uint32_t mid = lo + (hi - lo) / 2;

                                if (w->edges[lis[mid]].old < w->edges[i].old)
                                        lo = mid + 1;
                                else
                                        hi = mid;
                        }
                        previous[i] = lo ? lis[lo - 1] : UINT32_MAX;
                        lis[lo] = (uint32_t)i;
                        if (lo == length)
                                length++;
                }
                if (length > 0 && s) {
                        size_t last = to;

                        for (uint32_t i = lis[length - 1]; i != UINT32_MAX; i = previous[i]) {
                                for (size_t k = (size_t)i + 1; k < last; k++)
                                        w->edges[k].loses |= !out_of_order_allowed(w, k);
                                last = i;
                        }
                        for (size_t k = from; k < last; k++)
                                w->edges[k].loses |= !out_of_order_allowed(w, k);
                }
                from = to;
        }
}

/* Sorts the votes, of which the first `sorted` are. */
static void sort_votes(Work *w, size_t sorted) {
        size_t n = w->votes.n, a = 0, b = sorted, k = 0;
        Vote *v = w->votes.items, *merged;

        if (n == sorted)
                return;
        qsort(v + sorted, n - sorted, sizeof(Vote), vote_compare);
        if (sorted == 0)
                return;
        merged = vec_grow(NULL, w->votes.room, sizeof(Vote));
        while (a < sorted || b < n)
                merged[k++] = b == n || (a < sorted && vote_compare(&v[a], &v[b]) <= 0) ? v[a++] : v[b++];
        free(v);
        w->votes.items = merged;
}

static int edge_compare(const Edge *e, uint64_t new, uint64_t old) {
        if (e->new != new)
                return e->new < new ? -1 : 1;
        return e->old < old ? -1 : e->old > old;
}

/* What a changed function uses where the old one used another variable is a guess only. */
static bool is_refuted(const Work *w, const Vote *v) {
        return w->names && v->match != NO_FUNCTION && w->d->matches[v->match].kind == MATCH_CHANGED &&
               names_refute(w->names, w->votes.items, w->votes.n, v);
}

static void count_votes(Work *w, size_t sorted) {
        Diff *d = w->d;
        VEC(uint32_t) group = { 0 };
        Arena *before = w->scratch;
        const Edge *known = w->edges, *end = sorted ? known + w->n_edges : known; /* of this round */

        sort_votes(w, sorted);
        w->scratch = arena_new();
        w->edges = arena_newa(w->scratch, Edge, w->votes.n + 1);
        w->by_old = arena_newa(w->scratch, uint32_t, w->votes.n + 1);
        w->n_edges = 0;
        for (size_t i = 0; i < w->votes.n; i++) {
                const Vote *v = &w->votes.items[i];
                Edge *last = w->n_edges ? &w->edges[w->n_edges - 1] : NULL;

                if (is_refuted(w, v))
                        continue;
                if (last && last->new == v->new && last->old == v->old) {
                        last->votes++;
                        last->sure |= v->match != last->witness;
                } else {
                        for (; known < end && edge_compare(known, v->new, v->old) < 0; known++)
                                ;
                        w->edges[w->n_edges++] =
                                (Edge){ .new = v->new,
                                        .old = v->old,
                                        .votes = 1,
                                        .witness = v->match,
                                        .sure = v->match == NO_FUNCTION,
                                        .followed = known < end && known->followed &&edge_compare(
                                                                           known, v->new, v->old) == 0 };
                }
        }
        arena_free(before);
        for (size_t i = 0; i < w->n_edges; i++)
                w->by_old[i] = (uint32_t)i;
        qsort_r(w->by_old, w->n_edges, sizeof(uint32_t), by_old_compare, w->edges);
        for (size_t i = 0, k; i < w->n_edges; i = k) {
                group.n = 0;
                for (k = i; k < w->n_edges && w->edges[k].new == w->edges[i].new; k++)
                        vec_push(&group, (uint32_t)k);
                contest(w, group.items, group.n);
        }
        for (size_t i = 0, k; i < w->n_edges; i = k) {
                uint64_t old = w->edges[w->by_old[i]].old;

                group.n = 0;
                for (k = i; k < w->n_edges && w->edges[w->by_old[k]].old == old; k++)
                        if (!w->edges[w->by_old[k]].loses)
                                vec_push(&group, w->by_old[k]);
                contest(w, group.items, group.n);
        }
        contest_order(w);
        votes_contest_distance(d, w->scratch, w->edges, w->n_edges);
        vec_free(&group);
}

static const Edge *find_edge(const Work *w, uint64_t new, uint64_t old) {
        size_t lo = 0, hi = w->n_edges;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                const Edge *e = &w->edges[mid];

                if (e->new < new || (e->new == new && e->old < old))
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < w->n_edges && w->edges[lo].new == new && w->edges[lo].old == old ? &w->edges[lo] : NULL;
}

static void apply_blames(Work *w) {
        Diff *d = w->d;

        if (w->blames.n == 0)
                return;
        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];
                const Function *g = match_new(d, m);

                if (m->kind != MATCH_IDENTICAL)
                        continue;
                for (uint32_t k = 0; k < g->n_refs; k++)
                        if (takes_address(&d->new->refs[g->ref + k]) &&
                            blamed(w, d->new->refs[g->ref + k].target))
                                correspond_become(w, i, MATCH_CARRIED,
                                                  "a constant beside one that it uses changed");
        }
}

/* Relocated data: each slot of an object that the map holds votes for what it points to. */
static void vote_data(Work *w) {
        Diff *d = w->d;
        size_t n = w->n_edges;

        for (size_t i = 0; i < n; i++) {
                Edge *e = &w->edges[i];
                uint64_t size;
                size_t a, b;

                if (e->loses || e->followed || !image_section_at(d->new_image, e->new) ||
                    !image_section_at(d->old_image, e->old))
                        continue;
                e->followed = true; /* once in a round: it would say the same */
                size = MIN(const_extent(d->old, e->old), const_extent(d->new, e->new));
                a = image_reloc_from(d->old_image, e->old);
                b = image_reloc_from(d->new_image, e->new);
                for (; a < d->old_image->n_relocs && d->old_image->relocs[a].addr < e->old + size; a++) {
                        const ImageReloc *r = &d->old_image->relocs[a], *s;
                        Place p, q;

                        while (b < d->new_image->n_relocs &&
                               d->new_image->relocs[b].addr - e->new < r->addr - e->old)
                                b++;
                        if (b >= d->new_image->n_relocs)
                                break;
                        s = &d->new_image->relocs[b];
                        if (s->addr - e->new != r->addr - e->old || r->type != R_X86_64_RELATIVE ||
                            s->type != r->type)
                                continue;
                        p = place_of(d->old, (uint64_t)r->addend);
                        q = place_of(d->new, (uint64_t)s->addend);
                        join_places(w, &p, &q);
                        if ((p.kind == PLACE_DATA || p.kind == PLACE_RELRO) && p.kind == q.kind &&
                            !find_edge(w, (uint64_t)s->addend, (uint64_t)r->addend))
                                vote(w, (uint64_t)r->addend, (uint64_t)s->addend, NO_FUNCTION);
                }
        }
}

/* Variables with a name in both images. */
static void vote_symbols(Work *w) {
        Diff *d = w->d;
        const Image *o = d->old_image, *n = d->new_image;

        for (int table = 0; table < 2; table++) {
                const ImageSymbol *a = table ? o->syms : o->dynsyms, *b = table ? n->syms : n->dynsyms;
                size_t n_a = table ? o->n_syms : o->n_dynsyms, n_b = table ? n->n_syms : n->n_dynsyms;

                for (size_t i = 0, from = 0; i < n_a; i++) {
                        size_t found = 0, at = 0;

                        if (!a[i].defined || a[i].type != STT_OBJECT || a[i].size == 0)
                                continue;
                        /* Same order in both tables is the rule: look onwards, then from the start. */
                        for (size_t step = 0; step < n_b; step++) {
                                size_t k = (from + step) % n_b;

                                if (b[k].defined && b[k].type == STT_OBJECT && b[k].size == a[i].size &&
                                    strcmp(b[k].name, a[i].name) == 0) {
                                        found++;
                                        at = k;
                                        break;
                                }
                        }
                        if (!found)
                                continue;
                        from = at + 1;
                        Place p = place_of(d->old, a[i].addr), q = place_of(d->new, b[at].addr);

                        if ((p.kind == PLACE_DATA || p.kind == PLACE_RELRO) && p.kind == q.kind)
                                vote(w, a[i].addr, b[at].addr, NO_FUNCTION);
                }
        }
}

static void publish_map(Work *w) {
        Diff *d = w->d;
        size_t n = 0, kept = 0;

        d->map = arena_newa(d->arena, MapEntry, w->n_edges + w->consts.n + 1);
        for (size_t i = 0; i < w->n_edges; i++) {
                const Edge *e = &w->edges[i];
                MapEntry *last = n ? &d->map[n - 1] : NULL;
                MapEntry x = { e->new, e->old, e->votes, e->loses ? MAP_CONFLICT : MAP_TESTIFIED };

                if (last && last->new == e->new) {
                        if (last->state == MAP_CONFLICT && !e->loses)
                                *last = x;
                        continue;
                }
                d->map[n++] = x;
        }
        /* Constants, as blames_of_tails() has sorted them: the old one serves where it has the same content;
         * which one does not matter. */
        for (size_t i = 0; i < w->consts.n; i++)
                if (!blamed(w, w->consts.items[i].new) &&
                    (kept == 0 || w->consts.items[kept - 1].new != w->consts.items[i].new))
                        w->consts.items[kept++] = w->consts.items[i];
        for (size_t i = 0; i < kept; i++)
                d->map[n++] = (MapEntry){ w->consts.items[i].new, w->consts.items[i].old, 1, MAP_TESTIFIED };
        d->n_map = n;
        qsort(d->map, n, sizeof(MapEntry), vote_compare); /* both begin with new, old */
}

static void publish_changed(Work *w) {
        Diff *d = w->d;

        d->changed_consts = arena_newa(d->arena, ConstTable, w->blames.n + 1);
        for (size_t i = 0; i < w->blames.n; i++) {
                const Blame *b = &w->blames.items[i];

                if (!constant_is_text(d->new_image, b->new, b->size))
                        d->changed_consts[d->n_changed_consts++] = (ConstTable){ b->new, b->size };
        }
}

const MapEntry *diff_map(const Diff *d, uint64_t new_addr) {
        size_t lo = 0, hi = d->n_map;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (d->map[mid].new < new_addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < d->n_map && d->map[lo].new == new_addr ? &d->map[lo] : NULL;
}

void correspond(Diff *d, unsigned threads) {
        Work w = { .d = d, .arena = d->arena, .names = names_new(d, d->arena) };

        /* Rounds: a pair that turns out to have changed no longer counts as two equal functions. */
        for (unsigned round = 0; round < 8; round++) {
                w.changed = false;
                w.late = round > 0;
                correspond_pairs(&w, threads);
                vote_symbols(&w);
                for (size_t k = 0, n = 0, sorted = 0; k < DATA_DEPTH; k++, sorted = n) {
                        n = w.votes.n;
                        count_votes(&w, sorted);
                        vote_data(&w);
                        if (w.votes.n == n)
                                break;
                }
                for (size_t i = 0; i < w.votes.n; i++) {
                        const Vote *v = &w.votes.items[i];
                        const Edge *e;

                        if (v->match == NO_FUNCTION)
                                continue;
                        e = find_edge(&w, v->new, v->old);
                        if (e && e->loses)
                                correspond_become(&w, v->match, MATCH_CHANGED, "refers to another variable");
                }
                if (round > 0) /* the pairs are found */
                        blames_of_tails(&w);
                blames_widen(&w);
                apply_blames(&w);
                if (round == 0) {
                        match_alike(d);
                        continue;
                }
                if (!w.changed)
                        break;
        }
        publish_map(&w);
        publish_changed(&w);
        vec_free(&w.votes);
        vec_free(&w.consts);
        vec_free(&w.blames);
        vec_free(&w.becomes);
        arena_free(w.scratch);
        for (size_t i = 0; i < d->n_matches; i++)
                switch (d->matches[i].kind) {
                case MATCH_IDENTICAL:
                        d->n_identical++;
                        break;
                case MATCH_CHANGED:
                        d->n_changed++;
                        break;
                case MATCH_CARRIED:
                        d->n_carried++;
                        break;
                case MATCH_ADDED:
                        d->n_added++;
                        break;
                case MATCH_REMOVED:
                        d->n_removed++;
                        break;
                }
}

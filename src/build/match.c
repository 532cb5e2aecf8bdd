/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "build/passes.h"

#include <elf.h>
#include <string.h>

/*
 * Pairs the functions of two builds. Strong evidence first: names, content that occurs once on each
 * side, then what paired functions and relocated tables refer to at the same place. Only then
 * position: both links lay objects out in the same order, so what stands between two paired
 * neighbours corresponds in order. Last, likeness.
 *
 * A pair is never made from likeness alone when the two share less than half of their instructions:
 * the old function then stays as it is and the new one is an added one.
 */

typedef struct Matcher {
        Diff *d;
        const Code *old, *new;
        uint32_t *to_new, *to_old; /* NO_FUNCTION: unpaired */
        MatchBasis *basis;         /* by old function */
        VEC(uint32_t) queue;       /* old functions whose references are to be followed */
} Matcher;

static void pair(Matcher *m, uint32_t o, uint32_t n, MatchBasis basis) {
        m->to_new[o] = n;
        m->to_old[n] = o;
        m->basis[o] = basis;
        if (m->old->functions[o].norm == m->new->functions[n].norm)
                vec_push(&m->queue, o);
}

typedef struct Key {
        uint64_t hash;
        const char *name;
        uint32_t function;
} Key;

static int key_compare(const void *a, const void *b) {
        const Key *x = a, *y = b;

        if (x->hash != y->hash)
                return x->hash < y->hash ? -1 : 1;
        if (x->name && y->name) {
                int c = strcmp(x->name, y->name);

                if (c)
                        return c;
        }
        return x->function < y->function ? -1 : x->function > y->function;
}

static bool key_same(const Key *a, const Key *b) {
        return a->hash == b->hash && (!a->name || strcmp(a->name, b->name) == 0);
}

static size_t key_run(const Key *k, size_t n, size_t at) {
        size_t end = at + 1;

        while (end < n && key_same(&k[at], &k[end]))
                end++;
        return end - at;
}

/* Walks two sorted key lists and calls back for each key that both have. */
static void merge_keys(Matcher *m, Key *a, size_t n_a, Key *b, size_t n_b, MatchBasis basis) {
        size_t i = 0, k = 0;

        qsort(a, n_a, sizeof(*a), key_compare);
        qsort(b, n_b, sizeof(*b), key_compare);
        while (i < n_a && k < n_b) {
                size_t run_a = key_run(a, n_a, i), run_b = key_run(b, n_b, k);

                if (key_same(&a[i], &b[k])) {
                        /* Several of one name (static functions) pair in order when as many. */
                        if (run_a == run_b && (run_a == 1 || basis == BASIS_SYMBOL))
                                for (size_t j = 0; j < run_a; j++)
                                        pair(m, a[i + j].function, b[k + j].function, basis);
                        i += run_a;
                        k += run_b;
                } else {
                        Key x = a[i], y = b[k];

                        x.function = y.function = 0;
                        if (key_compare(&x, &y) < 0)
                                i += run_a;
                        else
                                k += run_b;
                }
        }
}

static size_t collect(const Code *code, const uint32_t *paired, bool names, Key *out) {
        size_t n = 0;

        for (uint32_t i = 0; i < code->n_functions; i++) {
                const Function *f = &code->functions[i];

                if (paired[i] != NO_FUNCTION || (names && !f->named))
                        continue;
                out[n++] = names ? (Key){ .name = f->name, .function = i }
                                 : (Key){ .hash = f->norm, .function = i };
        }
        return n;
}

static void match_keys(Matcher *m, bool names) {
        Key *a = arena_newa(m->d->arena, Key, m->old->n_functions + 1);
        Key *b = arena_newa(m->d->arena, Key, m->new->n_functions + 1);
        size_t n_a = collect(m->old, m->to_new, names, a);
        size_t n_b = collect(m->new, m->to_old, names, b);

        merge_keys(m, a, n_a, b, n_b, names ? BASIS_SYMBOL : BASIS_CONTENT);
}

static void propose(Matcher *m, uint64_t old_target, uint64_t new_target) {
        const CodePart *p = code_part_start(m->old, old_target), *q = code_part_start(m->new, new_target);

        if (!p || !q)
                return;
        if (m->old->functions[p->function].addr != old_target ||
            m->new->functions[q->function].addr != new_target)
                return;
        if (m->to_new[p->function] == NO_FUNCTION && m->to_old[q->function] == NO_FUNCTION)
                pair(m, p->function, q->function, BASIS_CALLER);
}

/* Follows the references of pairs with the same content, until nothing new comes of it. */
static void follow(Matcher *m) {
        while (m->queue.n > 0) {
                uint32_t o = m->queue.items[--m->queue.n], n = m->to_new[o];
                const Function *f = &m->old->functions[o], *g = &m->new->functions[n];

                if (f->n_refs != g->n_refs)
                        continue;
                for (uint32_t i = 0; i < f->n_refs; i++)
                        propose(m, m->old->refs[f->ref + i].target, m->new->refs[g->ref + i].target);
        }
}

/* Exported data symbols with relocated content (tables of functions): slot by slot. And the lists
 * that the image itself has: constructors and the like. */
static void follow_table(Matcher *m, uint64_t old_addr, uint64_t new_addr, uint64_t size) {
        const Image *o = m->d->old_image, *n = m->d->new_image;
        size_t i = image_reloc_from(o, old_addr), k = image_reloc_from(n, new_addr);

        for (; i < o->n_relocs && o->relocs[i].addr < old_addr + size; i++) {
                uint64_t at = new_addr + (o->relocs[i].addr - old_addr);

                while (k < n->n_relocs && n->relocs[k].addr < at)
                        k++;
                if (k < n->n_relocs && n->relocs[k].addr == at && o->relocs[i].type == R_X86_64_RELATIVE &&
                    n->relocs[k].type == R_X86_64_RELATIVE)
                        propose(m, (uint64_t)o->relocs[i].addend, (uint64_t)n->relocs[k].addend);
        }
}

static void follow_tables(Matcher *m) {
        const Image *o = m->d->old_image, *n = m->d->new_image;

        /* .data.rel.ro, .data: when as long and relocated at the same places, slots correspond. */
        static const char *const names[] = { ".data.rel.ro", ".data", ".init_array", ".fini_array" };

        for (size_t s = 0; s < ELEMENTSOF(names); s++) {
                const ImageSection *a = image_section(o, names[s]), *b = image_section(n, names[s]);
                size_t i, k, j;

                if (!a || !b || a->size != b->size)
                        continue;
                i = image_reloc_from(o, a->addr);
                k = image_reloc_from(n, b->addr);
                for (j = 0; i + j < o->n_relocs && o->relocs[i + j].addr < a->addr + a->size; j++)
                        if (k + j >= n->n_relocs ||
                            n->relocs[k + j].addr - b->addr != o->relocs[i + j].addr - a->addr)
                                break;
                if (i + j >= o->n_relocs || o->relocs[i + j].addr >= a->addr + a->size)
                        follow_table(m, a->addr, b->addr, a->size);
        }
}

static uint32_t insn_bag(const Code *code, const Function *f, uint64_t *out, uint32_t max) {
        uint32_t n = 0;

        for (uint32_t k = 0; k < f->n_parts; k++) {
                const CodePart *p = &code->parts[f->parts[k]];

                for (uint32_t j = 0; j < p->n_insns && n < max; j++)
                        if (!(code->insns[p->insn + j].flags & INSN_NOP))
                                out[n++] = code->insns[p->insn + j].norm;
        }
        return n;
}

enum { LIKENESS_INSNS = 4096 };

/* Share of instructions that two functions have in common, in percent of the longer one. */
unsigned match_likeness(const Diff *d, uint32_t o, uint32_t n) {
        static _Thread_local uint64_t a[LIKENESS_INSNS], b[LIKENESS_INSNS];
        const Function *f = &d->old->functions[o], *g = &d->new->functions[n];
        uint32_t n_a, n_b, i = 0, k = 0, same = 0;

        if (f->norm == g->norm)
                return 100;
        if (f->n_insns > 3 * g->n_insns + 8 || g->n_insns > 3 * f->n_insns + 8)
                return 0;
        n_a = insn_bag(d->old, f, a, LIKENESS_INSNS);
        n_b = insn_bag(d->new, g, b, LIKENESS_INSNS);
        qsort(a, n_a, sizeof(*a), u64_compare);
        qsort(b, n_b, sizeof(*b), u64_compare);
        while (i < n_a && k < n_b) {
                if (a[i] == b[k])
                        same++, i++, k++;
                else if (a[i] < b[k])
                        i++;
                else
                        k++;
        }
        return MAX(n_a, n_b) ? same * 100 / MAX(n_a, n_b) : 0;
}

enum { GAP_MAX = 600 };

/* The function says where variables are. */
static bool names_variables(const Code *code, uint32_t function) {
        const Function *f = &code->functions[function];

        for (uint32_t i = 0; i < f->n_refs; i++) {
                PlaceKind kind = place_of(code, code->refs[f->ref + i].target).kind;

                if (kind == PLACE_DATA || kind == PLACE_RELRO)
                        return true;
        }
        return false;
}

/* One of several with the same content, of which the other build has more or fewer: order does not tell which
 * is new. Were such a pair wrong, nothing would show it, and its variables would change places. */
static bool twin_of_more(const Matcher *m, const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b,
                         uint32_t old) {
        uint64_t norm = m->old->functions[old].norm;
        size_t twins_old = 0, twins_new = 0;

        for (size_t i = 0; i < n_a; i++)
                twins_old += m->old->functions[a[i]].norm == norm;
        for (size_t k = 0; k < n_b; k++)
                twins_new += m->new->functions[b[k]].norm == norm;
        return twins_old != twins_new && names_variables(m->old, old);
}

/* Pairs what is left between two anchors: first equal content in order (longest common
 * subsequence), then the rest by order and likeness. */
static void match_gap(Matcher *m, const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b, bool like) {
        uint16_t *table;

        if (n_a == 0 || n_b == 0 || n_a > GAP_MAX || n_b > GAP_MAX)
                return;
        table = calloc((n_a + 1) * (n_b + 1), sizeof(*table));
        if (!table)
                return;
                /* Weight of a pair: 0 when it may not be. */
#define AT(i, k) table[(i) * (n_b + 1) + (k)]
        uint8_t *weight = calloc(n_a * n_b, 1);

        if (!weight) {
                free(table);
                return;
        }
        for (size_t i = 0; i < n_a; i++) {
                bool twin = twin_of_more(m, a, n_a, b, n_b, a[i]);

                for (size_t k = 0; k < n_b; k++) {
                        unsigned w = 0;

                        if (m->old->functions[a[i]].norm == m->new->functions[b[k]].norm)
                                w = twin ? 0 : 100;
                        else if (like) {
                                w = match_likeness(m->d, a[i], b[k]);
                                if (w < 50)
                                        w = 0;
                        }
                        weight[i * n_b + k] = (uint8_t)w;
                }
        }
        for (size_t i = n_a; i-- > 0;)
                for (size_t k = n_b; k-- > 0;) {
                        unsigned w = weight[i * n_b + k];
                        unsigned best = MAX(AT(i + 1, k), AT(i, k + 1));

                        if (w && w + AT(i + 1, k + 1) > best)
                                best = w + AT(i + 1, k + 1);
                        AT(i, k) = (uint16_t)best;
                }
        for (size_t i = 0, k = 0; i < n_a && k < n_b;) {
                unsigned w = weight[i * n_b + k];

                if (w && AT(i, k) == w + AT(i + 1, k + 1)) {
                        pair(m, a[i], b[k],
                             w == 100 && !like ? BASIS_ORDER
                             : like            ? BASIS_SIMILAR
                                               : BASIS_ORDER);
                        i++, k++;
                } else if (AT(i + 1, k) >= AT(i, k + 1)) {
                        i++;
                } else {
                        k++;
                }
        }
#undef AT
        free(weight);
        free(table);
}

/* The pairs in old order whose new order rises: the backbone. Marks the others' positions as no
 * anchor. Longest increasing subsequence, n log n. */
static bool *backbone(Matcher *m) {
        uint32_t n = m->old->n_functions, length = 0;
        uint32_t *tail = arena_newa(m->d->arena, uint32_t, n + 1),
                 *previous = arena_newa(m->d->arena, uint32_t, n + 1);
        bool *in = arena_newa(m->d->arena, bool, n + 1);

        for (uint32_t i = 0; i < n; i++) {
                uint32_t lo = 0, hi = length;

                if (m->to_new[i] == NO_FUNCTION)
                        continue;
                while (lo < hi) {
                        uint32_t mid = lo + (hi - lo) / 2;

                        if (m->to_new[tail[mid]] < m->to_new[i])
                                lo = mid + 1;
                        else
                                hi = mid;
                }
                previous[i] = lo > 0 ? tail[lo - 1] : NO_FUNCTION;
                tail[lo] = i;
                if (lo == length)
                        length++;
        }
        if (length > 0)
                for (uint32_t i = tail[length - 1]; i != NO_FUNCTION; i = previous[i])
                        in[i] = true;
        return in;
}

static void match_gaps(Matcher *m, bool like) {
        bool *in = backbone(m);
        uint32_t *a = arena_newa(m->d->arena, uint32_t, m->old->n_functions + 1);
        uint32_t *b = arena_newa(m->d->arena, uint32_t, m->new->n_functions + 1);
        uint32_t from_new = 0;
        size_t n_a = 0, n_b;

        for (uint32_t i = 0; i <= m->old->n_functions; i++) {
                uint32_t to_new;

                if (i < m->old->n_functions && !in[i]) {
                        if (m->to_new[i] == NO_FUNCTION)
                                a[n_a++] = i;
                        continue;
                }
                to_new = i < m->old->n_functions ? m->to_new[i] : m->new->n_functions;
                n_b = 0;
                for (uint32_t k = from_new; k < to_new; k++)
                        if (m->to_old[k] == NO_FUNCTION)
                                b[n_b++] = k;
                match_gap(m, a, n_a, b, n_b, like);
                n_a = 0;
                from_new = to_new + 1;
        }
}

static void matcher_init(Matcher *m, Diff *d) {
        *m = (Matcher){ .d = d, .old = d->old, .new = d->new };
        m->to_new = arena_newa(d->arena, uint32_t, m->old->n_functions + 1);
        m->to_old = arena_newa(d->arena, uint32_t, m->new->n_functions + 1);
        m->basis = arena_newa(d->arena, MatchBasis, m->old->n_functions + 1);
        memset(m->to_new, 0xff, (m->old->n_functions + 1) * sizeof(uint32_t));
        memset(m->to_old, 0xff, (m->new->n_functions + 1) * sizeof(uint32_t));
}

void match_functions(Diff *d) {
        Matcher m;

        matcher_init(&m, d);
        match_keys(&m, true);
        match_keys(&m, false);
        follow(&m);
        follow_tables(&m);
        follow(&m);
        match_gaps(&m, false);
        follow(&m);
        /* What is unique once the duplicates around it are gone. */
        match_keys(&m, false);
        follow(&m);
        vec_free(&m.queue);

        d->matches = arena_newa(d->arena, Match, (size_t)m.old->n_functions + m.new->n_functions + 1);
        d->alignments = arena_newa(d->arena, Alignment, (size_t)m.old->n_functions + m.new->n_functions + 1);
        d->old_match = arena_newa(d->arena, uint32_t, m.old->n_functions + 1);
        d->new_match = arena_newa(d->arena, uint32_t, m.new->n_functions + 1);
        for (uint32_t i = 0; i < m.old->n_functions; i++) {
                d->old_match[i] = (uint32_t)d->n_matches;
                d->matches[d->n_matches++] =
                        (Match){ .old = i, .new = NO_FUNCTION, .kind = MATCH_REMOVED, .why = "" };
        }
        for (uint32_t i = 0; i < m.new->n_functions; i++) {
                d->new_match[i] = (uint32_t)d->n_matches;
                d->matches[d->n_matches++] =
                        (Match){ .old = NO_FUNCTION, .new = i, .kind = MATCH_ADDED, .why = "" };
        }
        for (uint32_t i = 0; i < m.old->n_functions; i++)
                if (m.to_new[i] != NO_FUNCTION)
                        match_join(d, i, m.to_new[i], m.basis[i]);
}

void match_alike(Diff *d) {
        Matcher m;

        matcher_init(&m, d);
        for (uint32_t i = 0; i < m.old->n_functions; i++) {
                const Match *x = &d->matches[d->old_match[i]];

                if (x->new != NO_FUNCTION) {
                        m.to_new[i] = x->new;
                        m.to_old[x->new] = i;
                }
        }
        match_gaps(&m, true);
        follow(&m);
        vec_free(&m.queue);
        for (uint32_t i = 0; i < m.old->n_functions; i++)
                if (m.to_new[i] != NO_FUNCTION)
                        match_join(d, i, m.to_new[i], m.basis[i]);
}

typedef struct NormKey {
        uint64_t norm;
        uint32_t function;
} NormKey;

static int norm_compare(const void *x, const void *y) {
        const NormKey *a = x, *b = y;

        return a->norm < b->norm ? -1 : a->norm > b->norm;
}

/* Functions by their content. */
static const NormKey *by_norm(Arena *arena, const Code *code) {
        NormKey *keys = arena_newa(arena, NormKey, code->n_functions + 1);

        for (uint32_t i = 0; i < code->n_functions; i++)
                keys[i] = (NormKey){ code->functions[i].norm, i };
        qsort(keys, code->n_functions, sizeof(*keys), norm_compare);
        return keys;
}

/* How many functions with that content have a match of that kind. */
static size_t count_twins(const Diff *d, const NormKey *keys, uint32_t n, const uint32_t *match,
                          MatchKind kind, uint64_t norm) {
        uint32_t lo = 0, hi = n;
        size_t twins = 0;

        while (lo < hi) {
                uint32_t mid = lo + (hi - lo) / 2;

                if (keys[mid].norm < norm)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (; lo < n && keys[lo].norm == norm; lo++)
                twins += d->matches[match[keys[lo].function]].kind == kind;
        return twins;
}

bool match_twin_of_more(Diff *d, uint32_t old) {
        uint64_t norm = d->old->functions[old].norm;
        size_t twins_old, twins_new;

        if (!names_variables(d->old, old))
                return false;
        if (!d->old_by_norm) {
                d->old_by_norm = by_norm(d->arena, d->old);
                d->new_by_norm = by_norm(d->arena, d->new);
        }
        twins_old = count_twins(d, d->old_by_norm, d->old->n_functions, d->old_match, MATCH_REMOVED, norm);
        twins_new = count_twins(d, d->new_by_norm, d->new->n_functions, d->new_match, MATCH_ADDED, norm);
        return twins_new > 0 && twins_old != twins_new;
}

bool match_join(Diff *d, uint32_t old, uint32_t new, MatchBasis basis) {
        uint32_t a = d->old_match[old], b = d->new_match[new], last;

        if (d->matches[a].kind != MATCH_REMOVED || d->matches[b].kind != MATCH_ADDED)
                return false;
        d->matches[a].new = new;
        d->matches[a].basis = basis;
        if (d->old->functions[old].norm == d->new->functions[new].norm) {
                d->matches[a].kind = MATCH_IDENTICAL;
        } else {
                d->matches[a].kind = MATCH_CHANGED;
                d->matches[a].why = "instructions";
        }
        d->new_match[new] = a;
        /* Added matches are the last ones; the last takes the place that is free now. */
        last = (uint32_t)--d->n_matches;
        if (b != last) {
                d->matches[b] = d->matches[last];
                d->new_match[d->matches[b].new] = b;
        }
        return true;
}

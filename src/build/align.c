/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "build/passes.h"

#include <string.h>

/*
 * Aligns the instructions of a changed pair: equal ends first, then instructions whose normalised
 * bytes occur once on each side and rise on both (patience), then a longest common subsequence in
 * what lies between. What is too large for that stays unaligned, which costs testimony, never truth.
 */

enum { LCS_CELLS = 4 << 20 };

typedef VEC(InsnPair) PairVec;

typedef struct Side {
        const Code *code;
        uint32_t *insns; /* indexes into Code.insns, without padding */
        uint32_t n;
} Side;

static Side side_make(const Code *code, const Function *f) {
        Side s = { .code = code };

        s.insns = calloc((size_t)f->n_insns + 1, sizeof(*s.insns));
        if (!s.insns)
                abort();
        for (uint32_t k = 0; k < f->n_parts; k++) {
                const CodePart *p = &code->parts[f->parts[k]];

                for (uint32_t j = 0; j < p->n_insns; j++)
                        if (!(code->insns[p->insn + j].flags & INSN_NOP))
                                s.insns[s.n++] = p->insn + j;
        }
        return s;
}

static uint64_t norm(const Side *s, uint32_t i) {
        return s->code->insns[s->insns[i]].norm;
}

static void one_sided(const Side *a, uint32_t a0, uint32_t a1, const Side *b, uint32_t b0, uint32_t b1,
                      PairVec *out) {
        for (; a0 < a1; a0++)
                vec_push(out, (InsnPair){ a->insns[a0], UINT32_MAX });
        for (; b0 < b1; b0++)
                vec_push(out, (InsnPair){ UINT32_MAX, b->insns[b0] });
}

static void align_lcs(const Side *a, uint32_t a0, uint32_t a1, const Side *b, uint32_t b0, uint32_t b1,
                      PairVec *out) {
        size_t n = a1 - a0, m = b1 - b0;
        uint16_t *t;

        if (n == 0 || m == 0 || n > UINT16_MAX || m > UINT16_MAX || n * m > LCS_CELLS) {
                one_sided(a, a0, a1, b, b0, b1, out);
                return;
        }
        t = calloc((n + 1) * (m + 1), sizeof(*t));
        if (!t)
                abort();
#define T(i, k) t[(i) * (m + 1) + (k)]
        for (size_t i = n; i-- > 0;)
                for (size_t k = m; k-- > 0;)
                        T(i, k) = norm(a, a0 + (uint32_t)i) == norm(b, b0 + (uint32_t)k)
                                          ? (uint16_t)(T(i + 1, k + 1) + 1)
                                          : MAX(T(i + 1, k), T(i, k + 1));
        for (size_t i = 0, k = 0; i < n || k < m;) {
                if (i < n && k < m && norm(a, a0 + (uint32_t)i) == norm(b, b0 + (uint32_t)k) &&
                    T(i, k) == T(i + 1, k + 1) + 1) {
                        vec_push(out, (InsnPair){ a->insns[a0 + i], b->insns[b0 + k] });
                        i++, k++;
                } else if (i < n && (k == m || T(i + 1, k) >= T(i, k + 1))) {
                        vec_push(out, (InsnPair){ a->insns[a0 + i++], UINT32_MAX });
                } else {
                        vec_push(out, (InsnPair){ UINT32_MAX, b->insns[b0 + k++] });
                }
        }
#undef T
        free(t);
}

typedef struct Unique {
        uint64_t norm;
        uint32_t at;
        bool second; /* of side b */
} Unique;

static int unique_compare(const void *x, const void *y) {
        const Unique *a = x, *b = y;

        if (a->norm != b->norm)
                return a->norm < b->norm ? -1 : 1;
        if (a->second != b->second)
                return a->second ? 1 : -1;
        return a->at < b->at ? -1 : a->at > b->at;
}

static int pair_compare(const void *x, const void *y) {
        const InsnPair *a = x, *b = y;

        return a->old < b->old ? -1 : a->old > b->old;
}

static void align_range(const Side *a, uint32_t a0, uint32_t a1, const Side *b, uint32_t b0, uint32_t b1,
                        unsigned depth, PairVec *out) {
        uint32_t tail = 0, n = 0, length = 0;
        Unique *u;
        InsnPair *anchors;
        uint32_t *lis, *previous;

        while (a0 < a1 && b0 < b1 && norm(a, a0) == norm(b, b0)) {
                vec_push(out, (InsnPair){ a->insns[a0], b->insns[b0] });
                a0++, b0++;
        }
        while (a0 < a1 - tail && b0 < b1 - tail && norm(a, a1 - 1 - tail) == norm(b, b1 - 1 - tail))
                tail++;
        a1 -= tail;
        b1 -= tail;
        if ((uint64_t)(a1 - a0) * (b1 - b0) <= (depth ? LCS_CELLS : 1 << 16)) {
                align_lcs(a, a0, a1, b, b0, b1, out);
                goto end;
        }
        if (depth > 12) {
                one_sided(a, a0, a1, b, b0, b1, out);
                goto end;
        }
        u = calloc((size_t)(a1 - a0) + (b1 - b0), sizeof(*u));
        anchors = calloc((size_t)MIN(a1 - a0, b1 - b0) + 1, sizeof(*anchors));
        if (!u || !anchors)
                abort();
        for (uint32_t i = a0; i < a1; i++)
                u[n++] = (Unique){ norm(a, i), i, false };
        for (uint32_t i = b0; i < b1; i++)
                u[n++] = (Unique){ norm(b, i), i, true };
        qsort(u, n, sizeof(*u), unique_compare);
        uint32_t n_anchors = 0;

        for (uint32_t i = 0; i < n;) {
                uint32_t run = 1;

                while (i + run < n && u[i + run].norm == u[i].norm)
                        run++;
                if (run == 2 && !u[i].second && u[i + 1].second)
                        anchors[n_anchors++] = (InsnPair){ u[i].at, u[i + 1].at };
                i += run;
        }
        free(u);
        qsort(anchors, n_anchors, sizeof(*anchors), pair_compare);
        lis = calloc((size_t)n_anchors + 1, sizeof(*lis));
        previous = calloc((size_t)n_anchors + 1, sizeof(*previous));
        if (!lis || !previous)
                abort();
        for (uint32_t i = 0; i < n_anchors; i++) {
                uint32_t lo = 0, hi = length;

                while (lo < hi) {
                        uint32_t mid = lo + (hi - lo) / 2;

                        if (anchors[lis[mid]].new < anchors[i].new)
                                lo = mid + 1;
                        else
                                hi = mid;
                }
                previous[i] = lo ? lis[lo - 1] : UINT32_MAX;
                lis[lo] = i;
                if (lo == length)
                        length++;
        }
        if (length == 0) {
                align_lcs(a, a0, a1, b, b0, b1, out);
        } else {
                uint32_t *chain = calloc(length, sizeof(*chain)), at = length;

                if (!chain)
                        abort();
                for (uint32_t i = lis[length - 1]; i != UINT32_MAX; i = previous[i])
                        chain[--at] = i;
                for (uint32_t i = 0; i < length; i++) {
                        InsnPair p = anchors[chain[i]];

                        align_range(a, a0, p.old, b, b0, p.new, depth + 1, out);
                        vec_push(out, (InsnPair){ a->insns[p.old], b->insns[p.new] });
                        a0 = p.old + 1;
                        b0 = p.new + 1;
                }
                align_range(a, a0, a1, b, b0, b1, depth + 1, out);
                free(chain);
        }
        free(lis);
        free(previous);
        free(anchors);
end:
        for (uint32_t i = 0; i < tail; i++)
                vec_push(out, (InsnPair){ a->insns[a1 + i], b->insns[b1 + i] });
}

void align_match(Diff *d, Arena *arena, uint32_t match) {
        const Match *m = &d->matches[match];
        PairVec out = { 0 };
        Side a, b;

        if (d->alignments[match].pairs || m->old == NO_FUNCTION || m->new == NO_FUNCTION)
                return;
        a = side_make(d->old, match_old(d, m));
        b = side_make(d->new, match_new(d, m));
        align_range(&a, 0, a.n, &b, 0, b.n, 0, &out);
        d->alignments[match].pairs = arena_dup(arena, out.items, out.n * sizeof(InsnPair));
        d->alignments[match].n = out.n;
        vec_free(&out);
        free(a.insns);
        free(b.insns);
}

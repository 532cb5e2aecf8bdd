/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <stdlib.h>

/*
 * What a jump table's entries do, told by their marks: numbers, functions and texts that the straight part of
 * one entry's code has and no other entry's. An entry whose marks are at another place now moved, or changed
 * places with another one, whatever else its code stores: the code of a state stores numbers of states, which
 * moved as well.
 */

enum {
        MAX_ENTRIES = 128,
        MAX_MARKS = 8,
        STRAIGHT = 40,     /* instructions looked at for one entry */
        LEAST_NUMBER = 16, /* smaller ones are in too much code, and may be numbers of states themselves */
        FURTHEST = 4,      /* places that entries move at most */
        NOWHERE = MAX_ENTRIES
};

typedef enum MarkKind { MARK_NUMBER, MARK_FUNCTION, MARK_TEXT } MarkKind;

typedef struct Mark {
        MarkKind kind;
        uint64_t value;
} Mark;

typedef struct Entry {
        uint32_t op;  /* where it leads */
        uint32_t end; /* where its straight code jumps to: what all do afterwards */
        Mark marks[MAX_MARKS];
        size_t n;
} Entry;

static void add_mark(Entry *e, MarkKind kind, uint64_t value) {
        if (e->n < MAX_MARKS)
                e->marks[e->n++] = (Mark){ kind, value };
}

static void add_number(Entry *e, int64_t n) {
        if (n >= LEAST_NUMBER || n <= -LEAST_NUMBER)
                add_mark(e, MARK_NUMBER, (uint64_t)n);
}

/* Another entry's code, or what all do afterwards, begins there. */
static bool begins_other(const Entry *all, uint32_t n, uint32_t op) {
        for (uint32_t i = 0; i < n; i++)
                if (all[i].op == op || all[i].end == op)
                        return true;
        return false;
}

static uint32_t end_of(const FnValues *f, uint32_t from) {
        for (uint32_t i = from; i < f->n_ops && i < from + STRAIGHT; i++)
                if (f->ops[i].kind == OP_JMP)
                        return f->ops[i].target ? values_op_at(f, f->ops[i].target) : NO_OP;
        return NO_OP;
}

static void find_marks(const Code *code, const FnValues *f, const Entry *all, uint32_t n, Entry *e) {
        for (uint32_t i = e->op; i < f->n_ops && i < e->op + STRAIGHT; i++) {
                const Op *op = &f->ops[i];

                if (op->kind == OP_JMP || op->kind == OP_RET || (i > e->op && begins_other(all, n, i)))
                        return;
                if (op->has_imm)
                        add_number(e, op->imm);
                if (op->kind == OP_LEA && !op->rip && op->base >= 0 && op->base != 4 && op->base != 5)
                        add_number(e, op->disp); /* an addition, in another form */
                if (op->rip && place_of(code, (uint64_t)op->disp).kind == PLACE_CONST)
                        add_mark(e, MARK_TEXT, (uint64_t)op->disp);
                if (op->kind == OP_CALL)
                        for (size_t k = 0; k < f->n_calls; k++)
                                if (f->calls[k].op == i && f->calls[k].callee != ROOT_NONE)
                                        add_mark(e, MARK_FUNCTION, f->calls[k].callee);
        }
}

static uint32_t entries_of(const Code *code, const FnValues *f, const JumpTable *t, Entry *out) {
        uint32_t n = MIN(t->n, MAX_ENTRIES);

        for (uint32_t i = 0; i < n; i++) {
                uint64_t target = 0;

                out[i] = (Entry){ .op = table_entry(f, t, i, &target) ? values_op_at(f, target) : NO_OP,
                                  .end = NO_OP };
                if (out[i].op != NO_OP)
                        out[i].end = end_of(f, out[i].op);
        }
        for (uint32_t i = 0; i < n; i++)
                if (out[i].op != NO_OP)
                        find_marks(code, f, out, n, &out[i]);
        return n;
}

static bool has_mark(Judge *j, const Entry *e, const Mark *m, bool other_build) {
        for (size_t i = 0; i < e->n; i++) {
                const Mark *x = &e->marks[i];

                if (x->kind == m->kind &&
                    (other_build && m->kind == MARK_TEXT ? pointees_same(j->d, m->value, x->value)
                                                         : x->value == m->value))
                        return true;
        }
        return false;
}

/* No other entry's code has the mark. */
static bool is_own(Judge *j, const Entry *all, uint32_t n, uint32_t which, const Mark *m) {
        for (uint32_t i = 0; i < n; i++)
                if (all[i].op != all[which].op && has_mark(j, &all[i], m, false))
                        return false;
        return true;
}

/* The new entry that has all marks of the old one that are its own, and for which they are its own as well.
 */
static uint32_t moved_to(Judge *j, const Entry *old, uint32_t n, uint32_t which, const Entry *new,
                         uint32_t m) {
        uint32_t to = NOWHERE;

        for (size_t k = 0; k < old[which].n; k++) {
                uint32_t here = NOWHERE;

                if (!is_own(j, old, n, which, &old[which].marks[k]))
                        continue;
                for (uint32_t i = 0; i < m; i++) {
                        if (!has_mark(j, &new[i], &old[which].marks[k], true))
                                continue;
                        if (here != NOWHERE && new[i].op != new[here].op)
                                return NOWHERE;
                        if (here == NOWHERE || i == which)
                                here = i;
                }
                if (here == NOWHERE || (to != NOWHERE && to != here))
                        return NOWHERE;
                to = here;
        }
        return to;
}

static void judge_exchange(Judge *j, const uint32_t *to, uint32_t n) {
        for (uint32_t i = 0; i < n; i++) {
                uint32_t k = to[i];

                if (k == NOWHERE || k <= i || k >= n || to[k] != i)
                        continue;
                judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                          "what entry %u of a jump table did entry %u does, and the reverse, as if an "
                          "enumeration "
                          "had changed",
                          i, k);
                return;
        }
}

/* From some entry on all moved by the same, two at least, or one where the table grew or shrank that way. */
static void judge_shift(Judge *j, const uint32_t *to, uint32_t n, uint32_t new_n) {
        uint32_t first = 0, moved = 0;
        int by = 0;

        while (first < n && (to[first] == NOWHERE || to[first] == first))
                first++;
        if (first == n)
                return;
        by = (int)to[first] - (int)first;
        for (uint32_t i = first; i < n; i++) {
                if (to[i] == NOWHERE)
                        continue;
                if ((int)to[i] - (int)i != by)
                        return;
                moved++;
        }
        if (abs(by) > FURTHEST || (moved < 2 && (by > 0 ? new_n <= n : new_n >= n)))
                return;
        judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                  "what entry %u of a jump table did and all behind it is %+d away, as if an enumeration had "
                  "changed",
                  first, by);
}

void judge_entries(Judge *j, const PairView *p, const JumpTable *a, const JumpTable *b) {
        Entry *old = calloc(MAX_ENTRIES, sizeof(*old)), *new = calloc(MAX_ENTRIES, sizeof(*new));
        uint32_t to[MAX_ENTRIES], n, m;

        if (!old || !new)
                abort();
        n = entries_of(j->d->old, p->old, a, old);
        m = entries_of(j->d->new, p->new, b, new);
        for (uint32_t i = 0; i < n; i++)
                to[i] = moved_to(j, old, n, i, new, m);
        judge_exchange(j, to, n);
        judge_shift(j, to, n, m);
        free(old);
        free(new);
}

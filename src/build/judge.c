/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_OF_SUBJECT = 4, SHARED_INSNS = 8192 };

void judge_add(Judge *j, RefusalCode code, const char *format, ...) {
        char detail[400];
        va_list ap;

        j->findings++;
        j->seen |= code == REFUSAL_CODE_LAYOUT_SHIFT ? 1 : code == REFUSAL_CODE_ALLOCATION_SIZE ? 2 : 4;
        /* A size counts even where types are proved: the other findings of a function must not hide it. */
        if (code != REFUSAL_CODE_ALLOCATION_SIZE && j->of_subject++ >= MAX_OF_SUBJECT)
                return;
        va_start(ap, format);
        vsnprintf(detail, sizeof(detail), format, ap);
        va_end(ap);
        verdict_add(j->v, code, j->subject, "%s", detail);
}

static const char *how_text(const Need *need) {
        return (need->flags & ACCESS_WRITE) ? (need->flags & ACCESS_READ) ? "changes" : "writes" : "reads";
}

void judge_unproved(Judge *j, const Need *need, const char *end) {
        const char *kind = need->class == CLASS_FLOAT    ? "floating-point "
                           : need->class == CLASS_VECTOR ? "vector "
                                                         : "";
        char what[200], step[40] = "";

        values_print(j->w, need->at.root, what, sizeof(what));
        if (need->at.stride > 1)
                snprintf(step, sizeof(step), " (in steps of %u)", need->at.stride);
        if (need->at.root == ROOT_IMAGE)
                snprintf(what, sizeof(what), "the variable at 0x%" PRIx64, (uint64_t)need->at.off);
        if (need->at.root == ROOT_IMAGE)
                judge_add(j, REFUSAL_CODE_LAYOUT_UNPROVED, "%s %s%u bytes of %s%s, %s", how_text(need), kind,
                          need->width, what, step, end);
        else
                judge_add(j, REFUSAL_CODE_LAYOUT_UNPROVED, "%s %s%u bytes at %s0x%" PRIx64 "%s of %s, %s",
                          how_text(need), kind, need->width, need->at.off < 0 ? "-" : "+",
                          (uint64_t)(need->at.off < 0 ? -need->at.off : need->at.off), step, what, end);
}

/* The instruction is the old one, unchanged, and nothing says that it now meets another object. */
static bool same_access(Judge *j, const PairView *p, const Access *a) {
        const Access *o;
        size_t n;

        if (p->how[a->op] != PAIR_SAME)
                return false;
        if (a->at.root == ROOT_CONFLICT)
                return false;
        if (a->at.root == ROOT_NONE)
                return true;
        o = accesses_of_op(p->old, p->partner[a->op], &n);
        for (size_t i = 0; i < n; i++)
                if (o[i].at.root == ROOT_NONE ||
                    (o[i].at.root == a->at.root && o[i].at.off == a->at.off &&
                     o[i].at.stride == a->at.stride && !value_other_rows(o[i].at, a->at)))
                        return true;
        /* the objects have other names: the same only where all around is the same, too, and the old one
         * came out of a call, which may have been replaced by another */
        return n == 0 || (pair_flanked(p, a->op) && values_node(j->w, o[0].at.root)->kind == NODE_RETURN);
}

/* Accesses through pointers that could not be followed: each new one needs an old one of its own. */
typedef struct Unknown {
        int64_t off;
        uint32_t stride;
        uint16_t width;
        uint8_t class;
        bool walks, used;
} Unknown;

/* A byte is read there, and the pointer goes on by one right before or behind: it walks over bytes. */
static bool walks(const FnValues *f, const Access *a) {
        enum { REACH = 6 };
        const Op *op = &f->ops[a->op];

        for (uint32_t i = a->op > REACH ? a->op - REACH : 0; i <= a->op + REACH && i < f->n_ops; i++) {
                const Op *x = &f->ops[i];

                if (op->base >= 0 && op->index < 0 && x->kind == OP_ADD && x->dst == op->base && x->has_imm &&
                    x->imm == 1 && x->size == 8)
                        return a->width == 1 && a->class == CLASS_INT && a->flags == ACCESS_READ;
        }
        return false;
}

/* Where a pointer that goes on by one stands when the byte is read, before or behind that step, is the
 * compiler's choice. */
static bool match_unknown(Unknown *u, size_t n, const Access *a, bool walk) {
        for (unsigned round = 0; round <= walk; round++)
                for (size_t i = 0; i < n; i++)
                        if (!u[i].used && u[i].width == a->width && u[i].class == a->class &&
                            u[i].stride == a->at.stride &&
                            (round ? u[i].walks && value_distance(u[i].off, a->at.off) == 1
                                   : u[i].off == a->at.off)) {
                                u[i].used = true;
                                return true;
                        }
        return false;
}

static bool given_down(Judge *j, const PairView *p, const Access *o) {
        for (size_t k = 0; k < p->new->n_calls; k++) {
                const CallSite *c = &p->new->calls[k];
                const Node *callee = values_node(j->w, c->callee);

                if (c->callee < ROOT_FIRST || callee->kind != NODE_FUNCTION ||
                    (callee->off & (SYMBOL_FUNCTION | ADDED_FUNCTION)) ||
                    j->d->old->functions[callee->off].n_insns > 2000)
                        continue;
                for (unsigned i = 0; i < VALUES_MAX_ARGS; i++) {
                        Need need = { o->at, o->width, o->class, o->flags, false, false };
                        uint32_t function = (uint32_t)values_node(j->w, c->callee)->off;

                        if (values_to_callee(j->w, o->at, c->args[i], i, &need.at) &&
                            place_testified(values_of(j->w, SIDE_OLD, function), &need))
                                return true;
                }
        }
        return false;
}

/* The new code gives the object to a function that touches that place, one of the old function's. */
static bool moved_down(Judge *j, const PairView *p, const Access *o) {
        uint8_t *known = &p->moved_down[o - p->old->places];

        if (*known == MOVED_UNASKED)
                *known = given_down(j, p, o) ? MOVED_YES : MOVED_NO;
        return *known == MOVED_YES;
}

/*
 * An old place of the same object, width and class that the new code no longer touches: then the new
 * one may be the same member at another displacement, and others' testimony for it proves nothing
 * (what was moved onto it is a neighbour of the same width). Or the same place in another width or
 * class: compilers load a short as an int where nothing forbids it, so others may have done that.
 */
static const Access *vanished(Judge *j, const PairView *p, const Access *a) {
        size_t n;
        const Access *o = places_of_root(p->old, a->at.root, &n), *best = NULL;

        for (size_t i = 0; i < n; i++) {
                bool other = o[i].at.off == a->at.off; /* the same place in another way */

                if ((other ? (o[i].width == a->width && o[i].class == a->class) ||
                                     o[i].class == CLASS_VECTOR || a->class == CLASS_VECTOR
                           : o[i].width != a->width || o[i].class != a->class) ||
                    (o[i].at.stride != 0) != (a->at.stride != 0) || has_place(p->new, &o[i]) ||
                    moved_down(j, p, &o[i]))
                        continue;
                if (!best || value_distance(o[i].at.off, a->at.off) < value_distance(best->at.off, a->at.off))
                        best = &o[i];
        }
        return best;
}

/* An instruction that is the same but for the displacement. */
static bool displaced(Judge *j, const PairView *p, const Access *a) {
        const Access *o, *old = NULL;
        size_t n;
        char what[200];
        Need need = { a->at, a->width, a->class, a->flags, false, false };

        if (p->how[a->op] != PAIR_SHAPE || a->at.root == ROOT_NONE)
                return false;
        o = accesses_of_op(p->old, p->partner[a->op], &n);
        for (size_t i = 0; i < n && !old; i++)
                if (o[i].at.root == a->at.root && o[i].at.off != a->at.off && o[i].at.stride == a->at.stride)
                        old = &o[i];
        if (!old || a->at.root == ROOT_IMAGE)
                return false;
        if (!p->only_shapes && place_testified(p->old, &need) && has_place(p->new, old))
                return false;
        if (!p->only_shapes && has_place(p->new, old))
                return false; /* an access was added; it has to be testified */
        values_print(j->w, a->at.root, what, sizeof(what));
        judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT, "%u bytes at %+" PRId64 " of %s are now at %+" PRId64,
                  a->width, old->at.off, what, a->at.off);
        return true;
}

/* A loop that was unrolled steps over several elements at once, and touches the same member of each:
 * the place as the loop had it. */
static bool rolled(const FnValues *f, const Access *a, Need *whole) {
        size_t n;
        const Access *p = places_of_root(f, a->at.root, &n);

        for (uint32_t k = 8; k >= 2 && a->at.stride; k /= 2) {
                uint32_t stride = a->at.stride / k, found = 0;
                int64_t lowest = a->at.off;

                if (a->at.stride % k)
                        continue;
                for (size_t i = 0; i < n; i++)
                        if (p[i].at.stride == a->at.stride && p[i].width == a->width &&
                            p[i].class == a->class && value_distance(p[i].at.off, a->at.off) % stride == 0 &&
                            value_distance(p[i].at.off, a->at.off) < a->at.stride) {
                                found++;
                                lowest = MIN(lowest, p[i].at.off);
                        }
                if (found < k)
                        continue;
                *whole = (Need){
                        { a->at.root, stride, lowest, 0 }, a->width, a->class, a->flags, false, false
                };
                return true;
        }
        return false;
}

/* The one of the two that an address is the sum of is a pointer (the function follows it as it is), and what
 * that leads to needs no testimony: the other one is an index into it. */
static bool indexed_free(Judge *j, const FnValues *f, const Need *need, uint32_t root) {
        Need whole = *need;
        size_t n;

        whole.at = (Value){ root, 1, need->at.off, 0 };
        places_of_root(f, root, &n);
        return n > 0 && place_free(j, &whole);
}

/* What a new function returned that goes along a text and returns where it came to: it lies in that text, the
 * bytes of which the old code must know. */
static bool along_text(Judge *j, const PairView *p, const Need *need) {
        const Node *n = values_node(j->w, need->at.root), *callee;
        const FnValues *f;
        Need text = *need;
        uint32_t from;

        if (need->at.root < ROOT_FIRST || n->kind != NODE_RETURN || n->a < ROOT_FIRST || n->b < ROOT_FIRST ||
            need->width != 1 || need->class != CLASS_INT)
                return false;
        callee = values_node(j->w, n->a);
        from = n->b;
        if (callee->kind != NODE_FUNCTION || !(callee->off & ADDED_FUNCTION) ||
            (callee->off & SYMBOL_FUNCTION))
                return false;
        f = values_of(j->w, SIDE_NEW, (uint32_t)(callee->off & ~ADDED_FUNCTION));
        if (f->incomplete || f->result.root != values_param(j->w, 0) || f->result.stride != 1)
                return false;
        text.at = (Value){ from, 1, 0, 0 };
        return place_testified(p->old, &text) || testify(j, p->old_function, p->new, &text);
}

/* The old function stored all parts of what is one store now. Nobody misreads that: who reads the whole is
 * judged. */
static bool merged_stores(const PairView *p, const Access *a) {
        int64_t at = a->at.off, end = at + a->width;
        const Access *o;
        size_t n;

        if (a->flags & ~(ACCESS_WRITE | ACCESS_CONST) || a->class != CLASS_INT || a->width > 8 ||
            a->at.root < ROOT_FIRST)
                return false;
        o = places_of_root(p->old, a->at.root, &n);
        for (size_t i = 0; i < n && at < end; i++)
                if ((o[i].flags & ACCESS_WRITE) && o[i].class == CLASS_INT && o[i].at.off == at &&
                    o[i].at.stride == a->at.stride && o[i].width < a->width &&
                    !value_other_rows(o[i].at, a->at))
                        at += o[i].width;
        return at == end;
}

static bool moves_string(const Op *op) {
        return op->kind == OP_STRING &&
               (op->mnemonic == ZYDIS_MNEMONIC_MOVSB || op->mnemonic == ZYDIS_MNEMONIC_MOVSW ||
                op->mnemonic == ZYDIS_MNEMONIC_MOVSD || op->mnemonic == ZYDIS_MNEMONIC_MOVSQ);
}

/* The function copies from there by a string instruction, as many units as it computes. */
static bool copies_from(const FnValues *f, const Access *a) {
        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *other = &f->accesses[i];

                if (other->at.root == a->at.root && other->at.off == a->at.off && other->at.stride &&
                    other->flags == ACCESS_READ && moves_string(&f->ops[other->op]))
                        return true;
        }
        return false;
}

/* A copy of bytes that the compiler wrote out: a string instruction for larger units, and loads for what
 * remains of them. It is what memcpy() would be, for which the old code has to know bytes there. */
static bool copies_bytes(Judge *j, const PairView *p, const Access *a) {
        const Op *op = &p->new->ops[a->op];
        Need bytes = { { a->at.root, 1, a->at.off, 0 }, 1, CLASS_INT, ACCESS_READ, false, false };

        if (!a->at.stride || a->at.root < ROOT_FIRST || a->class != CLASS_INT || a->flags != ACCESS_READ ||
            (!moves_string(op) && (op->kind != OP_MOV || a->width > 4)) || !copies_from(p->new, a))
                return false;
        return place_testified(p->old, &bytes) || testify(j, p->old_function, p->new, &bytes);
}

static void judge_access(Judge *j, const PairView *p, const Access *a) {
        Need need = need_of(p->new, a), whole;
        const Access *gone;
        char what[200];

        note_move(j, p, a);
        if (place_free(j, &need) || same_access(j, p, a) || displaced(j, p, a) ||
            place_testified(p->old, &need) || place_testified_local(j, p, &need))
                return;
        if (a->at.root == ROOT_CONFLICT) {
                judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                          "%u bytes beside a variable now belong to another variable", a->width);
                return;
        }
        if (values_node(j->w, a->at.root)->kind == NODE_SUM) {
                /* one of the two is an index */
                uint32_t x = values_node(j->w, a->at.root)->a, y = values_node(j->w, a->at.root)->b;

                if (indexed_free(j, p->new, &need, x) || indexed_free(j, p->new, &need, y))
                        return;
                need.at = (Value){ x, 1, a->at.off, 0 };
                if (!value_is_count(j, x) &&
                    (place_testified(p->old, &need) || testify(j, p->old_function, p->new, &need)))
                        return;
                need.at = (Value){ y, 1, a->at.off, 0 };
                if (!value_is_count(j, y) &&
                    (place_testified(p->old, &need) || testify(j, p->old_function, p->new, &need)))
                        return;
                need.at = a->at;
        }
        if (along_text(j, p, &need) || copies_bytes(j, p, a) || merged_stores(p, a))
                return;
        if (rolled(p->new, a, &whole) &&
            (place_testified(p->old, &whole) || testify(j, p->old_function, p->new, &whole)))
                return;
        gone = vanished(j, p, a);
        if (!gone &&
            (testify(j, p->old_function, p->new, &need) || testify_callers(j, p->new_function, &need, 0)))
                return;
        if (gone && gone->at.off == a->at.off && gone->class == CLASS_INT && a->class == CLASS_INT &&
            a->width > gone->width) {
                need.written = true;
                if (testify(j, p->old_function, p->new, &need))
                        return;
        }
        if (gone && gone->at.off == a->at.off && a->at.root != ROOT_IMAGE) {
                values_print(j->w, a->at.root, what, sizeof(what));
                judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT, "%u bytes at %+" PRId64 " of %s are now %s%u bytes",
                          gone->width, gone->at.off, what, a->class == CLASS_FLOAT ? "floating-point " : "",
                          a->width);
                return;
        }
        if (gone && value_distance(gone->at.off, a->at.off) <= 256 && a->at.root != ROOT_IMAGE) {
                values_print(j->w, a->at.root, what, sizeof(what));
                judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                          "%u bytes at %+" PRId64 " of %s are no longer used, but those at %+" PRId64 " are",
                          a->width, gone->at.off, what, a->at.off);
                return;
        }
        judge_unproved(j, &need, "where the old code never did");
}

static void judge_unknowns(Judge *j, const PairView *p) {
        VEC(Unknown) old = { 0 };

        for (size_t i = 0; i < p->old->n_accesses; i++) {
                const Access *a = &p->old->accesses[i];

                if (a->at.root == ROOT_NONE && p->old_how[a->op] != PAIR_SAME)
                        vec_push(&old, (Unknown){ a->at.off, a->at.stride, a->width, a->class,
                                                  walks(p->old, a), false });
        }
        for (size_t i = 0; i < p->new->n_accesses; i++) {
                const Access *a = &p->new->accesses[i];
                Need need = { a->at, a->width, a->class, a->flags, false, false };

                if (a->at.root == ROOT_NONE && p->how[a->op] != PAIR_SAME &&
                    !match_unknown(old.items, old.n, a, walks(p->new, a)))
                        judge_unproved(j, &need, "and the old code has no such access");
        }
        vec_free(&old);
}

static void subject(Judge *j, uint32_t match, const char *name) {
        j->subject = name;
        j->match = match;
        j->of_subject = 0;
}

/* Every code that there is has been found, and enough of them: no more can change the verdict. */
static bool judge_clear(const Judge *j) {
        return j->seen == 7 && j->findings >= JUDGE_ENOUGH;
}

static void judge_changed(Judge *j, uint32_t match) {
        const Match *m = &j->d->matches[match];
        const Alignment *al = &j->d->alignments[match];
        bool all_same = al->n > 0, arguments;
        PairView p;

        subject(j, match, j->d->new->functions[m->new].name);
        for (size_t i = 0; i < al->n && all_same; i++)
                all_same = al->pairs[i].old != UINT32_MAX && al->pairs[i].new != UINT32_MAX;
        if (all_same)
                return; /* only what it refers to differs, and the map is held against that */
        arguments = only_arguments(j, m, al);
        p = pair_view(j, m, al);
        if (arguments) {
                if (!p.old->incomplete && !p.new->incomplete)
                        collect_enumerations(j, &p);
                pair_view_free(&p);
                return;
        }
        if (p.old->incomplete || p.new->incomplete) {
                judge_add(j, REFUSAL_CODE_LAYOUT_UNPROVED,
                          "too large, or not decodable: it could not be followed");
                pair_view_free(&p);
                return;
        }
        for (size_t i = 0; i < p.new->n_accesses; i++)
                if (p.new->accesses[i].at.root != ROOT_NONE)
                        judge_access(j, &p, &p.new->accesses[i]);
        judge_unknowns(j, &p);
        judge_copied(j, &p);
        judge_given(j, &p);
        judge_sizes(j, &p);
        judge_tables(j, &p);
        judge_enumerations(j, &p);
        judge_bounds(j, &p);
        judge_numbers(j, &p);
        judge_bits(j, &p);
        note_exchanges(j, &p);
        collect_constants(j, &p);
        collect_enumerations(j, &p);
        pair_view_free(&p);
}

bool added_indexed(Judge *j, uint32_t function, const Need *need) {
        const Node *n = values_node(j->w, need->at.root);
        Need x = *need, y = *need;

        if (need->at.root < ROOT_FIRST || n->kind != NODE_SUM)
                return false;
        x.at = (Value){ n->a, 1, need->at.off, 0 };
        y.at = (Value){ n->b, 1, need->at.off, 0 };
        return (!value_is_count(j, x.at.root) && testify_added(j, function, &x, 0)) ||
               (!value_is_count(j, y.at.root) && testify_added(j, function, &y, 0));
}

static void judge_added(Judge *j, uint32_t match) {
        uint32_t function = j->d->matches[match].new;
        const FnValues *f = values_of(j->w, SIDE_NEW, function);

        subject(j, match, j->d->new->functions[function].name);
        if (f->incomplete) {
                judge_add(j, REFUSAL_CODE_LAYOUT_UNPROVED, "new, and too large or not decodable");
                return;
        }
        for (size_t i = 0; i < f->n_places; i++) {
                const Access *a = &f->places[i];
                Need need = need_of(f, a);

                if (place_free(j, &need))
                        continue;
                if (a->at.root == ROOT_NONE || a->at.root == ROOT_CONFLICT)
                        judge_unproved(j, &need, "in a new function");
                else if (!testify_added(j, function, &need, 0) && !added_indexed(j, function, &need))
                        judge_unproved(j, &need, "which no old code is known to do");
        }
        judge_copied_added(j, function);
}

static void judge_open(Judge *j, const Diff *d, Verdict *v) {
        *j = (Judge){ .d = d, .v = v, .w = values_new(d) };
        j->size_masks = vec_grow(NULL, d->old->n_functions + 1, 1);
        j->size_known = vec_grow(NULL, d->old->n_functions + 1, sizeof(bool));
        memset(j->size_known, 0, (d->old->n_functions + 1) * sizeof(bool));
}

static void judge_close(Judge *j) {
        free(j->callers[SIDE_OLD]);
        free(j->callers[SIDE_NEW]);
        free(j->size_masks);
        free(j->size_known);
        vec_free(&j->shifts);
        vec_free(&j->moves);
        values_free(j->w);
}

static void judge_match(Judge *j, size_t i) {
        if (j->d->matches[i].kind == MATCH_CHANGED)
                judge_changed(j, (uint32_t)i);
        else if (j->d->matches[i].kind == MATCH_ADDED)
                judge_added(j, (uint32_t)i);
}

/* Instructions to follow for a match. */
static uint64_t weight(const Diff *d, const Match *m) {
        return m->kind == MATCH_CHANGED || m->kind == MATCH_ADDED ? d->new->functions[m->new].n_insns : 0;
}

static bool worth_sharing(const Diff *d) {
        uint64_t all = 0;

        for (size_t i = 0; i < d->n_matches && all < SHARED_INSNS; i++)
                all += weight(d, &d->matches[i]);
        return all >= SHARED_INSNS;
}

/* What was found in one match. */
typedef struct Found {
        Verdict verdict;
        size_t shifts, moves; /* of the judge, up to here */
} Found;

/*
 * Two judges, each with values of its own: one takes the matches from the first on, the other from the last
 * one back, until they meet. What the judge says of a function depends on those before it in one way only:
 * once there are enough findings, no more testimony is looked for. So with as many from both together what
 * the other one found is forgotten, and the first goes on alone: where they met does not show.
 */
typedef struct Shared {
        pthread_mutex_t lock;
        size_t next, end; /* of the matches that nobody has taken yet */
        bool forget;
        Judge back;
        Arena *arena;
        VEC(Found) found; /* of the last match first */
} Shared;

static bool take(Shared *s, bool back, size_t *match) {
        bool some;

        pthread_mutex_lock(&s->lock);
        some = s->next < s->end && !(back && s->forget);
        if (some)
                *match = back ? --s->end : s->next++;
        pthread_mutex_unlock(&s->lock);
        return some;
}

static void forget(Shared *s) {
        pthread_mutex_lock(&s->lock);
        s->forget = true;
        pthread_mutex_unlock(&s->lock);
}

static void *judge_back(void *argument) {
        Shared *s = argument;
        Judge *j = &s->back;
        size_t i;

        judge_open(j, j->d, NULL);
        while (j->findings < JUDGE_ENOUGH && take(s, true, &i)) {
                Found f;

                if (!weight(j->d, &j->d->matches[i]))
                        continue;
                verdict_init(&f.verdict, s->arena);
                j->v = &f.verdict;
                judge_match(j, i);
                f.shifts = j->shifts.n;
                f.moves = j->moves.n;
                vec_push(&s->found, f);
        }
        return NULL;
}

/* Takes over what was found from the last match back, in the order of matches. */
static void join_back(Judge *j, const Shared *s) {
        const Judge *back = &s->back;

        for (size_t i = s->found.n; i-- > 0;) {
                const Found *f = &s->found.items[i];

                for (size_t k = 0; k < f->verdict.n; k++)
                        verdict_add(j->v, f->verdict.findings[k].code, f->verdict.findings[k].subject, "%s",
                                    f->verdict.findings[k].detail);
                for (size_t k = i ? f[-1].shifts : 0; k < f->shifts; k++)
                        vec_push(&j->shifts, back->shifts.items[k]);
                for (size_t k = i ? f[-1].moves : 0; k < f->moves; k++)
                        vec_push(&j->moves, back->moves.items[k]);
        }
        j->findings += back->findings;
        j->seen |= back->seen;
}

static void judge_matches(Judge *j, unsigned threads) {
        Shared s = { .lock = PTHREAD_MUTEX_INITIALIZER, .end = j->d->n_matches, .back.d = j->d };
        bool beside = threads > 1 && worth_sharing(j->d);
        pthread_t id;
        size_t i;

        if (beside) {
                s.arena = arena_new();
                beside = pthread_create(&id, NULL, judge_back, &s) == 0;
        }
        while (!judge_clear(j) && take(&s, false, &i)) {
                judge_match(j, i);
                if (j->findings >= JUDGE_ENOUGH)
                        forget(&s);
        }
        if (beside) {
                pthread_join(id, NULL);
                if (j->findings + s.back.findings < JUDGE_ENOUGH)
                        join_back(j, &s);
                else
                        for (i = s.next; i < j->d->n_matches && !judge_clear(j); i++)
                                judge_match(j, i);
                judge_close(&s.back);
        }
        vec_free(&s.found);
        arena_free(s.arena);
}

int judge_layout(const Diff *d, unsigned threads, Verdict *v, LayoutGrade *grade, Error *e) {
        Judge j;

        (void)e;
        judge_open(&j, d, v);
        judge_matches(&j, threads);
        judge_constants(&j);
        judge_moves(&j);
        judge_pairing(&j);
        judge_stored(&j);
        judge_made(&j);
        judge_labels(&j);
        judge_kinds(&j);
        *grade = j.findings ? GRADE_UNPROVED : GRADE_CONSISTENT;
        judge_close(&j);
        return 0;
}

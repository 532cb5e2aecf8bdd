/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/facts.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>

/*
 * What one function does and another one undoes: memory that is allocated for an object and freed with it, a
 * reference that is taken when a pointer is stored and dropped when the object goes, a lock that is taken by
 * the one and given back by the other. When both change, old code has done the first half in the old way, and
 * new code undoes it in the new one: what was borrowed is freed, what was never counted is dropped.
 *
 * No type says which pointers are one another's across functions, so they are told by where they lie: by the
 * variable, or by the displacement in the object.
 */

enum { TAG_IMAGE = 1, TAG_GIVEN, TAG_MADE, TAG_PASSED, TAG_COUNTED, TAG_UNCOUNTED, TAG_VECTOR, TAG_LOCK };
enum { MAX_DEPTH = 3 };

typedef struct Deed { /* what is done with the pointer at a place */
        uint64_t place, what;
        uint32_t match;
        bool undoes;
        const char *name; /* of a function that is called with it; NULL: none */
} Deed;

typedef struct Deeds {
        VEC(Deed) of[2];
} Deeds;

static uint64_t place_key(Value at) {
        uint64_t h = at.root == ROOT_IMAGE ? UINT64_C(1) << 62 : 0;

        return at.stride ? h | UINT64_C(1) << 61 | at.stride : h | ((uint64_t)at.off & (UINT64_MAX >> 3));
}

static uint64_t what_key(unsigned tag, uint32_t callee) {
        return (uint64_t)tag << 32 | callee;
}

static bool is_node(Value v) {
        return v.root >= ROOT_FIRST && v.root != (uint32_t)VALUE_UNSET;
}

static bool is_callee(Judge *j, uint32_t callee) {
        return callee >= ROOT_FIRST && values_node(j->w, callee)->kind == NODE_FUNCTION;
}

static void note(Deeds *all, Side side, Deed deed) {
        for (size_t i = all->of[side].n; i-- > 0 && all->of[side].items[i].match == deed.match;) {
                const Deed *x = &all->of[side].items[i];

                if (x->place == deed.place && x->what == deed.what && x->undoes == deed.undoes)
                        return;
        }
        vec_push(&all->of[side], deed);
}

/* Whom else the value is given to that is stored. */
static void note_passed(Judge *j, const FnValues *f, Value v, Deeds *all, Side side, Deed like) {
        for (size_t i = 0; i < f->n_calls; i++) {
                const CallSite *c = &f->calls[i];

                if (!is_callee(j, c->callee) || !value_equal(c->args[0], v) ||
                    (values_node(j->w, c->callee)->known && values_node(j->w, c->callee)->known->strings))
                        continue;
                like.what = what_key(TAG_PASSED, c->callee);
                like.name = values_node(j->w, c->callee)->name;
                note(all, side, like);
        }
}

static bool counts(const FactList *facts, uint32_t root, bool up) {
        for (size_t i = 0; i < facts->n; i++)
                if (facts->items[i].root == root && fact_counts(&facts->items[i], up))
                        return true;
        return false;
}

/* Two pointers that the compiler stores at once: which ones nothing says, but old code stored something
 * there, and what new code counts up beside it may be one of them. */
static void note_vector(const Access *a, const FactList *facts, Deeds *all, Side side, uint32_t match) {
        bool up = false;

        for (size_t i = 0; i < facts->n && !up; i++)
                up = fact_counts(&facts->items[i], true) && facts->items[i].root >= ROOT_FIRST &&
                     facts->items[i].root != a->at.root;
        for (int64_t at = 0; at < a->width; at += 8) {
                Deed deed = { .match = match, .name = "in it" };
                Value place = a->at;

                place.off += at;
                deed.place = place_key(place);
                deed.what = what_key(TAG_COUNTED, 0);
                if (up)
                        note(all, side, deed);
                deed.what = what_key(TAG_VECTOR, 0);
                if (side == SIDE_OLD)
                        note(all, side, deed);
        }
}

static void note_stores(Judge *j, const FnValues *f, const FactList *facts, Deeds *all, Side side,
                        uint32_t match) {
        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];
                const Op *op = &f->ops[a->op];
                Value v = f->op_value[a->op];
                Deed deed = { .place = place_key(a->at), .match = match };

                if ((a->flags & ACCESS_WRITE) && a->class == CLASS_VECTOR && a->width == 16 &&
                    a->at.root >= ROOT_FIRST)
                        note_vector(a, facts, all, side, match);
                if (!(a->flags & ACCESS_WRITE) || a->width != 8 || op->kind != OP_MOV || !op->mem_first ||
                    a->at.root == ROOT_NONE || a->at.root == ROOT_CONFLICT || v.root == ROOT_NONE ||
                    v.root == (uint32_t)VALUE_UNSET || v.root == ROOT_STACK || v.root == ROOT_CONFLICT)
                        continue;
                if (v.root == ROOT_IMAGE) {
                        deed.what = what_key(TAG_IMAGE, 0);
                } else if (is_node(v)) {
                        const Node *n = values_node(j->w, v.root);

                        if (n->kind == NODE_FUNCTION)
                                continue;
                        deed.what = n->kind == NODE_RETURN || n->kind == NODE_FRESH ? what_key(TAG_MADE, n->a)
                                                                                    : what_key(TAG_GIVEN, 0);
                        if (n->kind == NODE_RETURN || n->kind == NODE_FRESH)
                                deed.name = values_node(j->w, n->a)->name;
                } else {
                        continue;
                }
                note(all, side, deed);
                if (is_node(v))
                        note_passed(j, f, v, all, side, deed);
                if (is_node(v) && counts(facts, v.root, true)) {
                        deed.what = what_key(TAG_COUNTED, 0);
                        deed.name = "in it";
                        note(all, side, deed);
                }
        }
}

static void note_loaded(Judge *j, Value v, Deeds *all, Side side, Deed like) {
        const Node *n;
        Value at;

        if (!is_node(v) || v.off || v.stride)
                return;
        n = values_node(j->w, v.root);
        if (n->kind != NODE_LOAD)
                return;
        at = (Value){ n->a, n->stride, n->off, 0 };
        if (n->a == ROOT_STACK || n->a == ROOT_NONE)
                return;
        like.place = place_key(at);
        note(all, side, like);
}

static bool ends_with(const char *name, const char *end) {
        size_t n = strlen(name), m = strlen(end);

        return n >= m && strcasecmp(name + n - m, end) == 0;
}

/* Functions that give something back, by the words that libraries call them by. */
static bool undoes_by_name(const char *name) {
        static const char *const words[] = { "free",    "unref",   "release", "destroy", "close",  "delete",
                                             "dispose", "decref",  "dealloc", "munmap",  "remove", "cleanup",
                                             "deinit",  "discard", "finish",  "_ZdlPv",  "_ZdaPv" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcasestr(name, words[i]))
                        return true;
        return ends_with(name, "put");
}

static bool counts_down(Judge *j, const FnValues *f, uint32_t root) {
        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];
                const Op *op = &f->ops[a->op];

                Value v = f->op_value[a->op];

                if (a->at.root != root || !(a->flags & ACCESS_WRITE) || !op->mem_first)
                        continue;
                if (op->kind == OP_MOV && is_node(v) && v.off < 0 &&
                    values_node(j->w, v.root)->kind == NODE_LOAD && values_node(j->w, v.root)->a == root)
                        return true; /* what was loaded there, and less */
                if ((op->mnemonic == ZYDIS_MNEMONIC_DEC || op->mnemonic == ZYDIS_MNEMONIC_SUB ||
                     op->mnemonic == ZYDIS_MNEMONIC_XADD ||
                     (op->mnemonic == ZYDIS_MNEMONIC_ADD && op->has_imm && op->imm < 0)))
                        return true;
        }
        return false;
}

/* The function gives back what its first argument points to: by its name, or since it counts down there, or
 * hands it to one that does. */
static bool undoes(Judge *j, Side side, const CallSite *c, unsigned depth) {
        const Node *n = values_node(j->w, c->callee);
        const FnValues *f;
        uint32_t param;

        if (n->known && (n->known->flags & KNOWN_FRESH))
                return false;
        if ((c->target == NO_TARGET || values_code(j->w, side)->functions[c->target].named) &&
            undoes_by_name(n->name))
                return true;
        if (c->target == NO_TARGET || depth == MAX_DEPTH)
                return false;
        param = values_param(j->w, 0);
        f = values_of(j->w, side, c->target);
        if (f->incomplete)
                return false;
        if (counts_down(j, f, param))
                return true;
        for (size_t i = 0; i < f->n_calls; i++) {
                const CallSite *x = &f->calls[i];

                if (x->args[0].root == param && !x->args[0].off && is_callee(j, x->callee) &&
                    undoes(j, side, x, depth + 1))
                        return true;
        }
        return false;
}

static void note_calls(Judge *j, const FnValues *f, Deeds *all, Side side, uint32_t match) {
        for (size_t i = 0; i < f->n_calls; i++) {
                const CallSite *c = &f->calls[i];
                Deed deed = { .match = match, .undoes = true };

                if (!is_callee(j, c->callee) || c->args[0].root < ROOT_FIRST ||
                    c->args[0].root == (uint32_t)VALUE_UNSET ||
                    values_node(j->w, c->args[0].root)->kind != NODE_LOAD || !undoes(j, side, c, 0))
                        continue;
                deed.what = what_key(TAG_PASSED, c->callee);
                deed.name = values_node(j->w, c->callee)->name;
                note_loaded(j, c->args[0], all, side, deed);
        }
}

/* What the function itself counts down in something that a pointer in an object leads to. */
static void note_counted_down(Judge *j, const FactList *facts, Deeds *all, Side side, uint32_t match) {
        for (size_t i = 0; i < facts->n; i++)
                if (fact_counts(&facts->items[i], false))
                        note_loaded(j, (Value){ facts->items[i].root, 0, 0, 0 }, all, side,
                                    (Deed){ .match = match,
                                            .undoes = true,
                                            .what = what_key(TAG_UNCOUNTED, 0),
                                            .name = "code of its own that counts down in it" });
}

/* 1: takes a lock, -1: gives one back, by the words of libraries. */
static int lock_of(Judge *j, Side side, const CallSite *c) {
        const char *name;

        if (!is_callee(j, c->callee) ||
            (c->target != NO_TARGET && !values_code(j->w, side)->functions[c->target].named))
                return 0;
        name = values_node(j->w, c->callee)->name;
        if (strcasestr(name, "unlock") || strcmp(name, "sem_post") == 0 || strcmp(name, "funlockfile") == 0)
                return -1;
        return ends_with(name, "_lock") || ends_with(name, "rdlock") || ends_with(name, "wrlock") ||
                               strcmp(name, "PR_Lock") == 0 || strcmp(name, "sem_wait") == 0 ||
                               strcmp(name, "flockfile") == 0
                       ? 1
                       : 0;
}

/* Locks that the function takes and leaves taken, or gives back for another. */
static void note_locks(Judge *j, const FnValues *f, Deeds *all, Side side, uint32_t match) {
        for (size_t i = 0; i < f->n_calls; i++) {
                int what = lock_of(j, side, &f->calls[i]);
                Value lock = f->calls[i].args[0];
                bool both = false;

                if (!what || lock.root == ROOT_NONE || lock.root == ROOT_STACK || lock.root == ROOT_CONFLICT)
                        continue;
                for (size_t k = 0; k < f->n_calls && !both; k++)
                        both = lock_of(j, side, &f->calls[k]) == -what &&
                               (f->calls[k].args[0].root == ROOT_NONE ||
                                place_key(f->calls[k].args[0]) == place_key(lock));
                if (!both)
                        note(all, side,
                             (Deed){ .place = place_key(lock),
                                     .what = what_key(TAG_LOCK, 0),
                                     .match = match,
                                     .undoes = what < 0,
                                     .name = values_node(j->w, f->calls[i].callee)->name });
        }
}

static void note_function(Judge *j, Side side, uint32_t function, uint32_t match, Deeds *all) {
        const FnValues *f = values_of(j->w, side, function);
        FactList facts = { 0 };

        if (f->incomplete)
                return;
        facts_of(j->w, f, match, &facts);
        note_stores(j, f, &facts, all, side, match);
        note_calls(j, f, all, side, match);
        note_counted_down(j, &facts, all, side, match);
        vec_free(&facts);
        note_locks(j, f, all, side, match);
}

static bool has(const Deeds *all, Side side, const Deed *d) {
        for (size_t i = 0; i < all->of[side].n; i++) {
                const Deed *x = &all->of[side].items[i];

                if (x->place == d->place && x->what == d->what && x->undoes == d->undoes)
                        return true;
        }
        return false;
}

/* The old function put something else there. */
static bool stored_before(const Deeds *all, const Deed *d, bool added) {
        for (size_t i = 0; i < all->of[SIDE_OLD].n; i++) {
                const Deed *x = &all->of[SIDE_OLD].items[i];

                if (x->place == d->place && !x->undoes && (added || x->match == d->match))
                        return true;
        }
        return false;
}

/* New code's two halves of something that old code did otherwise, or not at all. */
static bool is_pair(const Deeds *all, const Deed *x, const Deed *y) {
        bool lock = x->what >> 32 == TAG_LOCK;

        return y->undoes && y->place == x->place && (y->what >> 32 == TAG_LOCK) == lock &&
               (lock || y->what != x->what) && !has(all, SIDE_OLD, y);
}

static void tell(Judge *j, const Deed *x, const Deed *y) {
        const Diff *d = j->d;
        const char *one = d->new->functions[d->matches[x->match].new].name,
                   *other = d->new->functions[d->matches[y->match].new].name;

        if (x->what >> 32 == TAG_LOCK)
                verdict_add(j->v, REFUSAL_CODE_PAIRING_CHANGED, one,
                            "%s newly, and %s in %s: the switch may come in between", x->name, y->name,
                            other);
        else
                verdict_add(j->v, REFUSAL_CODE_PAIRING_CHANGED, one,
                            "the pointer that it stores comes from elsewhere or is counted (%s), and %s "
                            "gives it to %s: "
                            "objects of the old code hold another",
                            x->name ? x->name : "no function's result", other, y->name);
}

void judge_pairing(Judge *j) {
        const Diff *d = j->d;
        Deeds all = { 0 };

        if (d->verdict.n >= JUDGE_ENOUGH)
                return; /* nobody will accept all that, and it costs time */
        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];

                if (m->kind != MATCH_CHANGED && m->kind != MATCH_ADDED && m->kind != MATCH_REMOVED)
                        continue;
                if (m->old != NO_FUNCTION)
                        note_function(j, SIDE_OLD, m->old, i, &all);
                if (m->new != NO_FUNCTION)
                        note_function(j, SIDE_NEW, m->new, i, &all);
        }
        for (size_t i = 0; i < all.of[SIDE_NEW].n; i++) {
                const Deed *x = &all.of[SIDE_NEW].items[i], *y = NULL;

                if (x->undoes || has(&all, SIDE_OLD, x) ||
                    (x->what >> 32 != TAG_LOCK &&
                     !stored_before(&all, x, d->matches[x->match].kind == MATCH_ADDED)))
                        continue;
                for (size_t k = 0; k < all.of[SIDE_NEW].n && !y; k++)
                        if (is_pair(&all, x, &all.of[SIDE_NEW].items[k]))
                                y = &all.of[SIDE_NEW].items[k];
                if (y)
                        tell(j, x, y);
        }
        vec_free(&all.of[0]);
        vec_free(&all.of[1]);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <stdlib.h>

/*
 * Objects of libraries whose kind changed while their room did not: a spin lock where a mutex was, a
 * directory behind the pointer that led to a stream. No type need tell, and the image's own code touches
 * nothing of such an object. What tells its kind are the functions that it is given to: where the new code
 * gives a place that was there before to functions of one kind, and the old code gave that place to those of
 * another kind only, the object that lies there is misread.
 */

enum { KINDS_DEPTH = 2, MAX_CALLEE_INSNS = 2000, MAX_HANDED = 512, MAX_USERS_ASKED = 24 };

typedef struct Handed { /* an object that is given to a function of a library */
        Value object;
        const char *name; /* of that function */
        uint8_t kind;
} Handed;

typedef VEC(Handed) HandedList;

typedef struct Kinds {
        Judge *j;
        uint8_t *far[2]; /* per function: how many calls it is to a function of the table, and one; 0: too far
                          */
} Kinds;

static const char *import_at(const Image *image, uint64_t addr) {
        const ImagePlt *plt = image_plt_at(image, addr);
        const ImageReloc *reloc = plt ? NULL : image_reloc_at(image, addr);
        uint32_t symbol = plt ? plt->symbol : reloc ? reloc->symbol : 0;

        return symbol && symbol < image->n_dynsyms ? image->dynsyms[symbol].name : NULL;
}

static bool in_table(const char *name) {
        GivenKind given;
        size_t next = 0;

        return kind_given(name, &next, &given);
}

static uint8_t *measure(Judge *j, Side side) {
        const Code *code = values_code(j->w, side);
        uint8_t *far = calloc(code->n_functions + 1, 1);
        const CallRef *all;

        if (!far)
                abort();
        for (size_t i = 0; i < code->n_refs; i++) {
                const char *name = import_at(code->image, code->refs[i].target);

                if (name && !far[code->refs[i].function] && in_table(name))
                        far[code->refs[i].function] = 1;
        }
        callers_of(j, side, 0, &all);
        for (uint8_t depth = 1; depth <= KINDS_DEPTH; depth++)
                for (size_t i = 0; i < j->n_callers[side]; i++) {
                        const CallRef *c = &j->callers[side][i];

                        if (!far[c->caller] &&
                            (far[c->callee] == depth || (depth == 1 && code->functions[c->callee].named &&
                                                         in_table(code->functions[c->callee].name))))
                                far[c->caller] = (uint8_t)(depth + 1);
                }
        return far;
}

static bool same_object(Value a, Value b) {
        return a.root == b.root && a.off == b.off && a.stride == b.stride;
}

static void hand(HandedList *all, Handed h) {
        if (value_is_const(h.object) || all->n >= MAX_HANDED)
                return;
        for (size_t i = 0; i < all->n; i++)
                if (all->items[i].kind == h.kind && same_object(all->items[i].object, h.object))
                        return;
        vec_push(all, h);
}

/* What a function that this one calls gives away, as this one knows it. */
static void hand_callee(Kinds *k, const CallSite *c, const HandedList *callee, HandedList *all) {
        for (size_t i = 0; i < callee->n; i++) {
                Handed h = callee->items[i];

                if (h.object.root == ROOT_STACK)
                        continue;
                if (h.object.root == ROOT_NONE || !values_to_caller(k->j->w, h.object, c->args, &h.object))
                        h.object = value_any();
                hand(all, h);
        }
}

/* All objects that the function gives to functions of libraries, itself or by those that it calls. */
static void collect(Kinds *k, Side side, uint32_t function, unsigned depth, HandedList *all) {
        const Code *code = values_code(k->j->w, side);
        const FnValues *f = values_of(k->j->w, side, function);

        for (size_t i = 0; i < f->n_calls; i++) {
                const CallSite *c = &f->calls[i];
                const Node *n = c->callee >= ROOT_FIRST ? values_node(k->j->w, c->callee) : NULL;
                HandedList callee = { 0 };
                GivenKind given;
                size_t next = 0;

                if (!n || n->kind != NODE_FUNCTION)
                        continue;
                if (c->target == NO_TARGET || code->functions[c->target].named)
                        while (n->name && kind_given(n->name, &next, &given))
                                hand(all, (Handed){ c->args[given.argument], n->name, given.kind });
                if (next || c->target == NO_TARGET || depth == KINDS_DEPTH || !k->far[side][c->target] ||
                    k->far[side][c->target] > KINDS_DEPTH - depth ||
                    code->functions[c->target].n_insns > MAX_CALLEE_INSNS)
                        continue;
                collect(k, side, c->target, depth + 1, &callee);
                hand_callee(k, c, &callee, all);
                vec_free(&callee);
        }
}

/* It may lie in memory that was there before: not the function's own, and no variable that is new. */
static bool is_kept(const Judge *j, Value object) {
        while (object.root >= ROOT_FIRST && values_node(j->w, object.root)->kind == NODE_LOAD)
                object.root = values_node(j->w, object.root)->a;
        return object.root != ROOT_CONFLICT && !values_is_own(j->w, object.root);
}

/* The list has the object as that kind; else *other is a kind that it has it as, where there is one. */
static bool has_kind(const HandedList *all, const Handed *h, const Handed **other) {
        bool found = false;

        for (size_t i = 0; i < all->n; i++)
                if (same_object(all->items[i].object, h->object)) {
                        found = found || all->items[i].kind == h->kind;
                        if (all->items[i].kind != h->kind)
                                *other = &all->items[i];
                }
        return found;
}

/* What hangs on a variable means the same in all functions: asks all old ones that use the variable. */
static void collect_users(Kinds *k, Value object, HandedList *all) {
        const Code *code = k->j->d->old;
        uint64_t addr = (uint64_t)object.off;
        const uint32_t *refs;
        size_t n, asked = 0;

        if (object.root != ROOT_IMAGE && !value_of_variable(k->j->w, object.root, &addr))
                return;
        refs = code_refs_to(code, addr, &n);
        for (size_t i = 0; i < n && asked < MAX_USERS_ASKED; i++) {
                uint32_t function = code->refs[refs[i]].function;

                if ((i && function == code->refs[refs[i - 1]].function) || !k->far[SIDE_OLD][function] ||
                    code->functions[function].n_insns > MAX_CALLEE_INSNS)
                        continue;
                asked++;
                collect(k, SIDE_OLD, function, 0, all);
        }
}

static void tell(Kinds *k, const Match *m, const Handed *is, const Handed *was) {
        char what[200];

        values_print(k->j->w, is->object.root, what, sizeof(what));
        verdict_add(k->j->v, REFUSAL_CODE_OBJECT_KIND, k->j->d->new->functions[m->new].name,
                    "%s() is given %s%s (%+lld), and the old code gave that to %s(): %s lies there, and the "
                    "new code takes it for %s",
                    is->name, is->object.root == ROOT_NONE ? "" : "what lies at ", what,
                    (long long)is->object.off, was->name, kind_name(was->kind), kind_name(is->kind));
}

static void judge_handed(Kinds *k, const Match *m, const Handed *h, const HandedList *old,
                         const HandedList *new) {
        HandedList users = { 0 };
        const Handed *was = NULL, *still = NULL;
        Handed before;

        if (!is_kept(k->j, h->object) || has_kind(old, h, &was))
                return;
        if (!was) {
                collect_users(k, h->object, &users);
                if (has_kind(&users, h, &was))
                        was = NULL;
        }
        if (was) {
                before = *was;
                /* Where the new function gives it to those of the old kind, too, it knows which one is there.
                 */
                if (!has_kind(new, &before, &still))
                        tell(k, m, h, &before);
        }
        vec_free(&users);
}

static void judge_match(Kinds *k, const Match *m) {
        HandedList old = { 0 }, new = { 0 };

        collect(k, SIDE_NEW, m->new, 0, &new);
        if (new.n && m->old != NO_FUNCTION)
                collect(k, SIDE_OLD, m->old, 0, &old);
        for (size_t i = 0; i < new.n; i++)
                judge_handed(k, m, &new.items[i], &old, &new);
        vec_free(&old);
        vec_free(&new);
}

void judge_kinds(Judge *j) {
        const Diff *d = j->d;
        Kinds k = { .j = j };

        if (d->verdict.n >= JUDGE_ENOUGH)
                return; /* nobody will accept all that, and it costs time */
        k.far[SIDE_OLD] = measure(j, SIDE_OLD);
        k.far[SIDE_NEW] = measure(j, SIDE_NEW);
        for (size_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];

                if ((m->kind == MATCH_CHANGED || m->kind == MATCH_ADDED) && k.far[SIDE_NEW][m->new])
                        judge_match(&k, m);
        }
        free(k.far[SIDE_OLD]);
        free(k.far[SIDE_NEW]);
}

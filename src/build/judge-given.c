/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <stdlib.h>
#include <string.h>

/* What a function gives to functions of libraries that kinds.c knows, itself or by those that it calls. */

enum { GIVEN_DEPTH = 2, MAX_CALLEE_INSNS = 2000, MAX_GIVEN = 512, MAX_USERS_ASKED = 24 };

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

uint8_t *given_far(Judge *j, Side side) {
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
        for (size_t i = 0; i < j->n_callers[side]; i++) {
                const Function *callee = &code->functions[j->callers[side][i].callee];

                if (callee->named && in_table(callee->name))
                        far[j->callers[side][i].caller] = 1;
        }
        for (uint8_t depth = 1; depth <= GIVEN_DEPTH; depth++)
                for (size_t i = 0; i < j->n_callers[side]; i++) {
                        const CallRef *c = &j->callers[side][i];

                        if (!far[c->caller] && far[c->callee] == depth)
                                far[c->caller] = (uint8_t)(depth + 1);
                }
        return far;
}

bool same_object(Value a, Value b) {
        return a.root == b.root && a.off == b.off && a.stride == b.stride;
}

static bool same_given(const Given *a, const Given *b) {
        if (a->kind != b->kind || strcmp(a->name, b->name) != 0 || !same_object(a->object, b->object))
                return false;
        for (unsigned i = 0; i < ELEMENTSOF(a->with); i++)
                if (!same_object(a->with[i], b->with[i]))
                        return false;
        return true;
}

static void give(GivenList *all, Given g) {
        if (value_is_const(g.object) || all->n >= MAX_GIVEN)
                return;
        for (size_t i = 0; i < all->n; i++)
                if (same_given(&all->items[i], &g))
                        return;
        vec_push(all, g);
}

static Value to_caller(Judge *j, Value v, const Value *args) {
        unsigned which;
        Value out;

        if (value_is_const(v))
                return v;
        if (!v.off && !v.stride && values_has_param(j->w, v.root, &which) && which < VALUES_MAX_ARGS &&
            v.root == values_param(j->w, which))
                return args[which]; /* a number, too */
        return v.root != ROOT_NONE && v.root != ROOT_STACK && values_to_caller(j->w, v, args, &out)
                       ? out
                       : value_any();
}

/* What a function that this one calls gives away, as this one knows it. */
static void give_callee(Judge *j, const CallSite *c, const GivenList *callee, GivenList *all) {
        for (size_t i = 0; i < callee->n; i++) {
                Given g = callee->items[i];

                if (g.object.root == ROOT_STACK)
                        continue;
                g.object = to_caller(j, g.object, c->args);
                for (unsigned k = 0; k < ELEMENTSOF(g.with); k++)
                        g.with[k] = to_caller(j, g.with[k], c->args);
                give(all, g);
        }
}

/* An object that is made with attributes has what was set in them. */
static void give_attributes(GivenList *all) {
        size_t n = all->n;

        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < n && kind_made(all->items[i].name); k++) {
                        Given g = all->items[k];

                        if (g.kind != KIND_ATTRIBUTES || g.object.root == ROOT_NONE ||
                            !same_object(g.object, all->items[i].with[0]))
                                continue;
                        g.object = all->items[i].object;
                        give(all, g);
                }
}

static void collect(Judge *j, const uint8_t *far, Side side, uint32_t function, unsigned depth,
                    GivenList *all) {
        const Code *code = values_code(j->w, side);
        const FnValues *f = values_of(j->w, side, function);

        for (size_t i = 0; i < f->n_calls; i++) {
                const CallSite *c = &f->calls[i];
                const Node *n = c->callee >= ROOT_FIRST ? values_node(j->w, c->callee) : NULL;
                GivenList callee = { 0 };
                GivenKind kind;
                size_t next = 0;

                if (!n || n->kind != NODE_FUNCTION)
                        continue;
                if (c->target == NO_TARGET || code->functions[c->target].named)
                        while (n->name && kind_given(n->name, &next, &kind))
                                give(all, (Given){ .object = c->args[kind.argument],
                                                   .with = { c->args[1], c->args[2] },
                                                   .name = n->name,
                                                   .kind = kind.kind });
                if (next || c->target == NO_TARGET || !far[c->target] ||
                    far[c->target] + depth > GIVEN_DEPTH ||
                    code->functions[c->target].n_insns > MAX_CALLEE_INSNS)
                        continue;
                collect(j, far, side, c->target, depth + 1, &callee);
                give_callee(j, c, &callee, all);
                vec_free(&callee);
        }
        give_attributes(all);
}

void given_by(Judge *j, const uint8_t *far, Side side, uint32_t function, GivenList *all) {
        collect(j, far, side, function, 0, all);
}

void given_by_users(Judge *j, const uint8_t *far, Value object, GivenList *all) {
        const Code *code = j->d->old;
        uint64_t addr = (uint64_t)object.off;
        const uint32_t *refs;
        size_t n, asked = 0;

        if (object.root != ROOT_IMAGE && !value_of_variable(j->w, object.root, &addr))
                return;
        refs = code_refs_to(code, addr, &n);
        for (size_t i = 0; i < n && asked < MAX_USERS_ASKED; i++) {
                uint32_t function = code->refs[refs[i]].function;

                if ((i && function == code->refs[refs[i - 1]].function) || !far[function] ||
                    code->functions[function].n_insns > MAX_CALLEE_INSNS)
                        continue;
                asked++;
                collect(j, far, SIDE_OLD, function, 0, all);
        }
}

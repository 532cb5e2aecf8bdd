/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <string.h>

/*
 * Testimony from other functions of the old image. The object in question is followed to where it
 * comes from and to where it goes: up into the callers, whose arguments it is; down into the callees
 * that it is given to (by the old code, or by the new); into the function that returned it; and, for
 * what hangs on a variable, to everyone who uses that variable. These steps keep it the same object.
 * A step that keeps only its type (another caller of the same callee, another user of the same
 * getter) counts when that function itself touches the object beyond the place in question, so that
 * it takes no shorter, more general type. Another member of the same C++ class has an object of that type.
 */

enum {
        MAX_STEPS = 5,
        MAX_QUEUE = 192,
        MAX_FAN = 24,
        MAX_FUNCTION_INSNS = 20000,
        MAX_USERS = 32,
        MAX_GETTER_INSNS = 2000,
        MAX_MEMBERS = 96
};

typedef struct Step {
        uint32_t function;
        Value at;
        uint8_t depth;
        bool down;      /* the last step led into a callee */
        bool typed;     /* and that callee knows the type as far as it matters */
        bool inner;     /* on the way the object became a part of another one, or the reverse */
        uint32_t asker; /* the function that the last step came from, or NO_FUNCTION */
} Step;

typedef struct Search {
        Judge *j;
        const Need *need;
        Step queue[MAX_QUEUE];
        size_t n;
        bool found;
        const FnValues *new; /* whose need it is, or NULL */
} Search;

/* Where the pointer `root` itself is stepped on by `at`: the displacement of the place, or of the
 * first pointer on the way to it. */
static bool step_on(const Values *w, Value at, uint32_t root, int64_t *off) {
        *off = at.off;
        while (at.root != root) {
                const Node *n = values_node(w, at.root);

                if (at.root < ROOT_FIRST || n->kind != NODE_LOAD)
                        return false;
                *off = n->off;
                at.root = n->a;
        }
        return true;
}

/* True when the function touches the object behind `root` at least as far as `at` steps on it. */
static bool knows_type(Search *s, uint32_t function, Value at, uint32_t root) {
        const FnValues *f = values_of(s->j->w, SIDE_OLD, function);
        int64_t off, extent = 0;
        const Access *p;
        size_t n;

        if (!step_on(s->j->w, at, root, &off))
                return false;
        p = places_of_root(f, root, &n);
        for (size_t i = 0; i < n; i++)
                if (p[i].at.stride == 0)
                        extent = MAX(extent, p[i].at.off + p[i].width);
        return n >= 2 && off >= 0 && off < extent;
}

typedef enum StepKind { STEP_SAME, STEP_DOWN, STEP_TYPED /* down, and the callee knows the type */ } StepKind;

static void consider(Search *s, uint32_t function, Value at, const Step *from, StepKind kind, bool inner) {
        unsigned depth = from ? from->depth + 1u : 0;
        Need need = *s->need;
        const FnValues *f;

        inner = inner || (from && from->inner);
        if (s->found || s->n == MAX_QUEUE || at.root == ROOT_NONE || at.root == ROOT_CONFLICT ||
            at.root == ROOT_STACK || s->j->d->old->functions[function].n_insns > MAX_FUNCTION_INSNS)
                return;
        for (size_t i = 0; i < s->n; i++)
                if (s->queue[i].function == function && value_equal(s->queue[i].at, at))
                        return;
        f = values_of(s->j->w, SIDE_OLD, function);
        if (f->incomplete)
                return;
        need.at = at;
        if (place_testified(f, &need)) {
                s->found = true;
                return;
        }
        if (depth < MAX_STEPS)
                s->queue[s->n++] = (Step){ .function = function,
                                           .at = at,
                                           .depth = (uint8_t)depth,
                                           .down = kind != STEP_SAME,
                                           .typed = kind == STEP_TYPED && !inner,
                                           .inner = inner,
                                           .asker = from ? from->function : NO_FUNCTION };
}

static void go_up(Search *s, const Step *at) {
        const CallRef *c;
        size_t n = callers_of(s->j, SIDE_OLD, at->function, &c), fan = 0;
        unsigned which;

        if (!values_has_param(s->j->w, at->at.root, &which) || which >= VALUES_MAX_ARGS)
                return;
        for (size_t i = 0; i < n && fan < MAX_FAN && !s->found; i++) {
                const FnValues *f;

                if ((i && c[i].caller == c[i - 1].caller) ||
                    s->j->d->old->functions[c[i].caller].n_insns > MAX_FUNCTION_INSNS)
                        continue;
                fan++;
                f = values_of(s->j->w, SIDE_OLD, c[i].caller);
                for (size_t k = 0; k < f->n_calls && !s->found; k++) {
                        Value v;

                        if (f->calls[k].target == at->function &&
                            values_to_caller(s->j->w, at->at, f->calls[k].args, &v))
                                consider(s, c[i].caller, v, at, STEP_SAME, f->calls[k].args[which].off != 0);
                }
        }
}

/* The old function that a callee is, or NO_FUNCTION. */
static uint32_t old_callee(const Judge *j, uint32_t callee) {
        const Node *n = values_node(j->w, callee);

        if (callee < ROOT_FIRST || n->kind != NODE_FUNCTION || (n->off & (SYMBOL_FUNCTION | ADDED_FUNCTION)))
                return NO_FUNCTION;
        return (uint32_t)n->off;
}

static void go_down(Search *s, const Step *at, const FnValues *f) {
        for (size_t k = 0; k < f->n_calls && !s->found; k++) {
                uint32_t callee = old_callee(s->j, f->calls[k].callee);

                if (callee == NO_FUNCTION)
                        continue;
                for (unsigned i = 0; i < VALUES_MAX_ARGS && !s->found; i++) {
                        Value v;

                        if (values_to_callee(s->j->w, at->at, f->calls[k].args[i], i, &v) &&
                            s->j->d->old->functions[callee].n_insns <= MAX_FUNCTION_INSNS)
                                consider(s, callee, v, at,
                                         knows_type(s, callee, v, values_param(s->j->w, i)) ? STEP_TYPED
                                                                                            : STEP_DOWN,
                                         f->calls[k].args[i].off != 0);
                }
        }
}

static uint32_t inner_return(const Values *w, uint32_t root) {
        for (unsigned i = 0; i < NODE_MAX_DEPTH + 2 && root >= ROOT_FIRST; i++) {
                const Node *n = values_node(w, root);

                if (n->kind == NODE_RETURN)
                        return root;
                if (n->kind != NODE_LOAD)
                        break;
                root = n->a;
        }
        return ROOT_NONE;
}

/* Both call it with the same numbers and variables before its argument number `end`. A function whose calls
 * are not known calls it in any way. */
static bool asked_alike(Search *s, uint32_t function, uint32_t user, uint32_t callee, unsigned end) {
        const FnValues *f = function == NO_FUNCTION ? s->new : values_of(s->j->w, SIDE_OLD, function),
                       *g = values_of(s->j->w, SIDE_OLD, user);
        bool asked = false;

        for (size_t i = 0; f && i < f->n_calls; i++)
                for (size_t k = 0; f->calls[i].callee == callee && k < g->n_calls; k++) {
                        bool alike = g->calls[k].callee == callee;

                        asked = true;
                        for (unsigned n = 0; n < end && alike; n++) {
                                Value a = f->calls[i].args[n], b = g->calls[k].args[n];

                                alike = (!value_tells(s->j->w, a) && !value_tells(s->j->w, b)) ||
                                        value_equal(a, b);
                        }
                        if (alike)
                                return true;
                }
        return !asked;
}

/*
 * Others that the same function returned an object to. It may be a generic one (an element of a
 * container), so they count only when that function knows the type, or when nearly all who touch what
 * it returns touch that very place.
 */
static void go_getters(Search *s, const Step *at, uint32_t root, bool typed) {
        uint32_t callee = values_node(s->j->w, root)->a, users[MAX_USERS];
        size_t n = users_of(s->j, callee, users, MAX_USERS), touch = 0, same = 0;

        for (size_t i = 0; i < n && !s->found; i++) {
                const FnValues *f;
                bool touched = false, there = false;

                if (users[i] == at->function || s->j->d->old->functions[users[i]].n_insns > MAX_GETTER_INSNS)
                        continue;
                f = values_of(s->j->w, SIDE_OLD, users[i]);
                /* their return value may have been named with another first argument */
                for (size_t k = 0; k < f->n_calls; k++) {
                        Need need = *s->need;
                        size_t m;
                        Value v;

                        if (f->calls[k].callee != callee || f->calls[k].result.root < ROOT_FIRST ||
                            f->calls[k].result.off ||
                            !values_substitute(s->j->w, at->at, root, f->calls[k].result, &v))
                                continue;
                        if (typed)
                                consider(s, users[i], v, at, STEP_SAME, false);
                        need.at = v;
                        places_of_root(f, v.root, &m);
                        touched = touched || m > 0;
                        there = there || place_testified(f, &need);
                }
                touch += touched;
                same += there && asked_alike(s, at->function, users[i], callee, 1);
        }
        if (same >= 3 && same * 3 >= touch * 2)
                s->found = true;
}

static void go_return(Search *s, const Step *at) {
        uint32_t root = inner_return(s->j->w, at->at.root);
        uint32_t function;
        bool typed = false;
        Value result, v;

        if (root == ROOT_NONE)
                return;
        function = old_callee(s->j, values_node(s->j->w, root)->a);
        if (function != NO_FUNCTION && s->j->d->old->functions[function].n_insns <= MAX_FUNCTION_INSNS) {
                result = values_of(s->j->w, SIDE_OLD, function)->result;
                if (result.root != ROOT_NONE && values_substitute(s->j->w, at->at, root, result, &v)) {
                        typed = !at->inner && result.off == 0 && knows_type(s, function, v, result.root);
                        consider(s, function, v, at, typed ? STEP_TYPED : STEP_DOWN, result.off != 0);
                }
        }
        go_getters(s, at, root, typed);
}

static void go_variable(Search *s, uint64_t addr, const Step *at) {
        const Code *code = s->j->d->old;
        size_t n, fan = 0;
        const uint32_t *refs = code_refs_to(code, addr, &n);

        for (size_t i = 0; i < n && fan < MAX_FAN && !s->found; i++) {
                uint32_t function = code->refs[refs[i]].function;

                if (i && function == code->refs[refs[i - 1]].function)
                        continue;
                fan++;
                consider(s, function, at->at, at, STEP_SAME, false);
        }
}

/* The imported variable that the pointer hangs on, or ROOT_NONE. */
static uint32_t inner_symbol(const Values *w, uint32_t root) {
        for (unsigned i = 0; i < NODE_MAX_DEPTH + 2 && root >= ROOT_FIRST; i++) {
                const Node *n = values_node(w, root);

                if (n->kind == NODE_SYMBOL)
                        return root;
                if (n->kind != NODE_LOAD && n->kind != NODE_SUM)
                        break;
                root = n->a;
        }
        return ROOT_NONE;
}

/* What hangs on an imported variable: to all who take its address from the table of imports. */
static void go_symbol(Search *s, uint32_t root, const Step *at) {
        const Image *image = s->j->d->old_image;
        const char *name = values_node(s->j->w, root)->name;

        for (size_t k = 0; k < image->n_relocs && name && !s->found; k++) {
                const ImageReloc *rel = &image->relocs[k];
                const uint32_t *refs;
                size_t n;

                if (!rel->symbol || rel->symbol >= image->n_dynsyms ||
                    strcmp(image->dynsyms[rel->symbol].name, name) != 0)
                        continue;
                refs = code_refs_to(s->j->d->old, rel->addr, &n);
                for (size_t i = 0; i < n && i < MAX_USERS && !s->found; i++)
                        consider(s, s->j->d->old->refs[refs[i]].function, at->at, at, STEP_SAME, false);
        }
}

/* The object is what the function returns: to its callers. */
static void go_returned(Search *s, const Step *at, const FnValues *f) {
        const CallRef *c;
        size_t n, fan = 0;

        if (f->result.root < ROOT_FIRST || f->result.stride || f->result.off)
                return;
        n = callers_of(s->j, SIDE_OLD, at->function, &c);
        for (size_t i = 0; i < n && fan < MAX_FAN && !s->found; i++) {
                const FnValues *g;

                if ((i && c[i].caller == c[i - 1].caller) ||
                    s->j->d->old->functions[c[i].caller].n_insns > MAX_FUNCTION_INSNS)
                        continue;
                fan++;
                g = values_of(s->j->w, SIDE_OLD, c[i].caller);
                for (size_t k = 0; k < g->n_calls && !s->found; k++) {
                        Value v;

                        if (g->calls[k].target == at->function && g->calls[k].result.root >= ROOT_FIRST &&
                            (!at->down || at->typed ||
                             asked_alike(s, at->asker, c[i].caller, g->calls[k].callee, 3)) &&
                            values_substitute(s->j->w, at->at, f->result.root, g->calls[k].result, &v))
                                consider(s, c[i].caller, v, at, STEP_SAME, false);
                }
        }
}

/* The object was stored somewhere: to who loads it from there; or loaded: to who stored it. */
static void go_stored(Search *s, const Step *at, const FnValues *f) {
        for (size_t k = 0; k < f->n_stores && !s->found; k++) {
                const Store *x = &f->stores[k];
                Value v;

                if (x->at.root == ROOT_CONFLICT || x->at.root == ROOT_THREAD || x->value.stride ||
                    x->at.stride || values_node(s->j->w, x->at.root)->depth >= NODE_MAX_DEPTH)
                        continue;
                if (values_substitute(s->j->w, at->at, x->value.root,
                                      (Value){ node_make(s->j->w, &(Node){ .kind = NODE_LOAD,
                                                                           .a = x->at.root,
                                                                           .off = x->at.off }),
                                               0, -x->value.off, 0 },
                                      &v))
                        consider(s, at->function, v, at, STEP_SAME, x->value.off != 0);
        }
        if (at->at.root >= ROOT_FIRST && values_node(s->j->w, at->at.root)->kind == NODE_LOAD)
                for (size_t k = 0; k < f->n_stores && !s->found; k++) {
                        const Store *x = &f->stores[k];
                        Node n = *values_node(s->j->w, at->at.root);

                        if (x->at.root == n.a && x->at.off == n.off && x->at.stride == n.stride && !n.b)
                                consider(
                                        s, at->function,
                                        (Value){ x->value.root, at->at.stride, at->at.off + x->value.off, 0 },
                                        at, STEP_SAME, x->value.off != 0);
                }
}

/* The function touches what such a call left, whatever it asked for: `left` names one, and `at` hangs on it.
 */
static bool touches_left(Search *s, const FnValues *f, Value at, uint32_t left) {
        for (size_t i = 0; i < f->n_calls; i++) {
                Node named = *values_node(s->j->w, left);
                size_t n;
                Value v;

                if (f->calls[i].callee != named.a)
                        continue;
                named.stride = values_asked(s->j->w, f->calls[i].args, (unsigned)named.off);
                if (!values_substitute(s->j->w, at, left, (Value){ node_make(s->j->w, &named), 0, 0, 0 }, &v))
                        continue;
                places_of_root(f, v.root, &n);
                if (n)
                        return true;
        }
        return false;
}

/* What a function left in a local variable: to others for which it did. */
static void go_left(Search *s, const Step *at) {
        uint32_t root = at->at.root, callee, function, users[MAX_USERS];
        size_t n, touch = 0, same = 0;
        bool typed = false;
        Value v;

        while (root >= ROOT_FIRST && values_node(s->j->w, root)->kind == NODE_LOAD)
                root = values_node(s->j->w, root)->a;
        if (root < ROOT_FIRST || values_node(s->j->w, root)->kind != NODE_OUT)
                return;
        callee = values_node(s->j->w, root)->a;
        function = old_callee(s->j, callee);
        if (function != NO_FUNCTION && s->j->d->old->functions[function].n_insns <= MAX_FUNCTION_INSNS) {
                uint32_t given = values_param(s->j->w, (unsigned)values_node(s->j->w, root)->off);

                typed = !at->inner &&
                        values_substitute(s->j->w, at->at, root, (Value){ given, 0, 0, 0 }, &v) &&
                        knows_type(s, function, v, given);
        }
        n = users_of(s->j, callee, users, MAX_USERS);
        for (size_t i = 0; i < n && !s->found; i++) {
                Need need = *s->need;
                const FnValues *f;

                if (users[i] == at->function || s->j->d->old->functions[users[i]].n_insns > MAX_GETTER_INSNS)
                        continue;
                if (typed)
                        consider(s, users[i], at->at, at, STEP_SAME, false);
                f = values_of(s->j->w, SIDE_OLD, users[i]);
                need.at = at->at;
                touch += touches_left(s, f, at->at, root);
                same += place_testified(f, &need) && asked_alike(s, at->function, users[i], callee,
                                                                 (unsigned)values_node(s->j->w, root)->off);
        }
        if (same >= 3 && same * 3 >= touch * 2)
                s->found = true;
}

/* The object of a member of a C++ class: to the other members. */
static void go_members(Search *s, const Step *at) {
        uint32_t members[MAX_MEMBERS];
        ClassName class;
        unsigned which;
        size_t n;

        if (!values_has_param(s->j->w, at->at.root, &which) || which != 0 ||
            !class_of(s->j, at->function, &class))
                return;
        n = members_of(s->j, class, members, MAX_MEMBERS);
        for (size_t i = 0; i < n && !s->found; i++)
                consider(s, members[i], at->at, at, STEP_DOWN, false);
}

static bool search(Search *s) {
        for (size_t i = 0; i < s->n && !s->found; i++) {
                Step at = s->queue[i];
                uint32_t symbol;
                uint64_t addr;

                if (at.function != NO_FUNCTION) {
                        const FnValues *f = values_of(s->j->w, SIDE_OLD, at.function);

                        if (!at.down || at.typed)
                                go_up(s, &at);
                        if (!s->found)
                                go_down(s, &at, f);
                        if (!s->found)
                                go_returned(s, &at, f);
                        if (!s->found)
                                go_stored(s, &at, f);
                        if (!s->found && at.depth == 0)
                                go_members(s, &at);
                }
                if (!s->found)
                        go_return(s, &at);
                if (!s->found)
                        go_left(s, &at);
                if (!s->found && value_of_variable(s->j->w, at.at.root, &addr))
                        go_variable(s, addr, &at);
                if (!s->found && (symbol = inner_symbol(s->j->w, at.at.root)) != ROOT_NONE)
                        go_symbol(s, symbol, &at);
                if (!s->found && at.at.root == ROOT_IMAGE)
                        go_variable(s, (uint64_t)at.at.off, &at);
        }
        return s->found;
}

bool testify(Judge *j, uint32_t function, const FnValues *new, const Need *need) {
        Search *s;
        bool found;

        if (j->findings >= JUDGE_ENOUGH)
                return false; /* the verdict is clear; a longer list helps nobody */
        s = calloc(1, sizeof(*s));
        if (!s)
                abort();
        s->j = j;
        s->need = need;
        s->new = new;
        if (function != NO_FUNCTION)
                consider(s, function, need->at, NULL, STEP_SAME, false);
        else
                s->queue[s->n++] = (Step){ .function = NO_FUNCTION, .at = need->at };
        if (!s->found && new)
                go_down(s, &(Step){ .function = NO_FUNCTION, .at = need->at }, new);
        found = s->found || search(s);
        free(s);
        return found;
}

static bool caller_testifies(Judge *j, uint32_t caller, const FnValues *f, const Need *need, unsigned depth) {
        uint32_t old = j->d->matches[j->d->new_match[caller]].old;

        return old == NO_FUNCTION ? depth < 3 && testify_added(j, caller, need, depth + 1)
                                  : testify(j, old, f, need);
}

bool testify_callers(Judge *j, uint32_t new_function, const Need *need, unsigned depth) {
        bool added = j->d->matches[j->d->new_match[new_function]].old == NO_FUNCTION, own = false,
             other = false;
        const CallRef *c;
        size_t n;

        if (!values_has_param(j->w, need->at.root, NULL))
                return false;
        n = callers_of(j, SIDE_NEW, new_function, &c);
        for (size_t i = 0; i < n && i < MAX_FAN; i++) {
                const FnValues *f;

                if ((i && c[i].caller == c[i - 1].caller) ||
                    j->d->new->functions[c[i].caller].n_insns > MAX_FUNCTION_INSNS)
                        continue;
                f = values_of(j->w, SIDE_NEW, c[i].caller);
                for (size_t k = 0; k < f->n_calls; k++) {
                        Need up = *need, of = *need;

                        if (f->calls[k].target != new_function)
                                continue;
                        if (!values_to_caller(j->w, need->at, f->calls[k].args, &up.at)) {
                                other = true;
                                continue;
                        }
                        for (size_t copy = 0; copied_from(j, f, up.at, &copy, &of.at);) {
                                other = other || !place_free(j, &of);
                                if (!place_free(j, &of) && caller_testifies(j, c[i].caller, f, &of, depth))
                                        return true;
                        }
                        if (place_free(j, &up)) {
                                own = true;
                                continue;
                        }
                        other = true;
                        if (caller_testifies(j, c[i].caller, f, &up, depth))
                                return true;
                }
        }
        /* Memory that the callers made: they are all new code only when this function is new. */
        return added && own && !other;
}

bool testify_added(Judge *j, uint32_t new_function, const Need *need, unsigned depth) {
        return place_free(j, need) ||
               testify(j, NO_FUNCTION, values_of(j->w, SIDE_NEW, new_function), need) ||
               testify_callers(j, new_function, need, depth);
}

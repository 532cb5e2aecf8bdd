/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/types.h"

#include "base/macro.h"
#include "dwarf/compare.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A difference before it becomes a finding: those of a type itself come before those that it has
 * only through what it contains, since a verdict keeps the first few. */
typedef struct Change {
        const char *subject, *detail;
        bool own;
} Change;

typedef struct Context {
        Comparison c;
        Arena *arena;
        VEC(Change) changes;
        struct UnitDefinitions *old_units, *new_units;
} Context;

static const char *kind_text(const Name *name, int tag) {
        switch (name->kind) {
        case NAME_UNION:
                return "union";
        case NAME_ENUM:
                return "enum";
        case NAME_TYPEDEF:
                return "typedef";
        case NAME_ENUMERATOR:
                return "enumerator";
        case NAME_VARIABLE:
                return "variable";
        default:
                return tag == DW_TAG_class_type ? "class" : "struct";
        }
}

static void add_change(Context *x, const Name *name, int tag, Notes *notes) {
        char text[256];

        vec_push(&x->changes, (Change){
                                      .subject = arena_printf(x->arena, "%s %s", kind_text(name, tag),
                                                              name_text(name, text, sizeof(text))),
                                      .detail = arena_strdup(x->arena, notes_text(notes)),
                                      .own = notes->own,
                              });
}

static Dwarf_Die definition_die(const Side *side, uint32_t d) {
        const TypeEntry *t = &side->types.items[side->definitions.items[d].entry];

        return (Dwarf_Die){ .addr = t->addr, .cu = t->cu };
}

static uint16_t definition_tag(const Side *side, uint32_t d) {
        return side->types.items[side->definitions.items[d].entry].tag;
}

/* The value of a constant that an anonymous enum gives. */
static int64_t constant_value(Side *side, uint32_t d) {
        Dwarf_Die die = definition_die(side, d);
        const Name *name = side->definitions.items[d].name;
        Enumerators all = { 0 };
        int64_t value = 0;

        content_enumerators(side, &die, &all);
        for (size_t i = 0; i < all.n; i++)
                if (strcmp(all.items[i].name, name->text) == 0)
                        value = all.items[i].value;
        vec_free(&all);
        return value;
}

static bool definitions_agree(Context *x, uint32_t old, uint32_t new, Notes *notes) {
        const Definition *o = &x->c.old->definitions.items[old], *n = &x->c.new->definitions.items[new];
        Dwarf_Die old_die, new_die;

        if (hash_equal(o->content, n->content))
                return true;
        if (o->name->kind == NAME_ENUMERATOR) {
                if (notes) {
                        notes->own = true;
                        notes->at = (size_t)snprintf(notes->text, sizeof(notes->text), "%lld -> %lld",
                                                     (long long)constant_value(x->c.old, old),
                                                     (long long)constant_value(x->c.new, new));
                }
                return false;
        }
        old_die = definition_die(x->c.old, old);
        new_die = definition_die(x->c.new, new);
        return compare_types(&x->c, &old_die, &new_die, notes, 0);
}

/*
 * A name with several definitions (two files each with its own `struct node`): which unit has which
 * is gathered, so that an old definition is compared with the one that the same unit has now.
 */
typedef struct UnitDefinition {
        Hash name, unit;
        uint32_t definition;
} UnitDefinition;

typedef struct UnitDefinitions {
        VEC(UnitDefinition) all;
} UnitDefinitions;

static int by_name_and_unit(const void *a, const void *b) {
        const UnitDefinition *x = a, *y = b;
        int r = memcmp(&x->name, &y->name, sizeof(Hash));

        r = r ? r : memcmp(&x->unit, &y->unit, sizeof(Hash));
        return r ? r : x->definition < y->definition ? -1 : x->definition > y->definition;
}

static int by_used(const void *a, const void *b) {
        const UnitEdge *x = a, *y = b;

        if (x->used != y->used)
                return x->used < y->used ? -1 : 1;
        return x->user < y->user ? -1 : x->user > y->user;
}

static void add_units(Side *side, UnitDefinitions *out, Hash name, uint32_t definition, uint32_t unit,
                      uint32_t *seen, uint32_t mark) {
        VEC(uint32_t) queue = { 0 };

        vec_push(&queue, unit);
        while (queue.n) {
                uint32_t u = queue.items[--queue.n];
                size_t lo = 0, hi = side->edges.n;

                if (u >= side->units.n || seen[u] == mark || !side_step(side))
                        continue;
                seen[u] = mark;
                if (side->units.items[u].name) {
                        vec_push(&out->all,
                                 (UnitDefinition){ name, side->units.items[u].name->hash, definition });
                        continue;
                }
                while (lo < hi) {
                        size_t middle = lo + (hi - lo) / 2;

                        if (side->edges.items[middle].used < u)
                                lo = middle + 1;
                        else
                                hi = middle;
                }
                for (; lo < side->edges.n && side->edges.items[lo].used == u; lo++)
                        vec_push(&queue, side->edges.items[lo].user);
        }
        vec_free(&queue);
}

static bool ambiguous(const Side *old, const Side *new, const Name *name) {
        uint32_t o = side_definitions(old, name), n = side_definitions(new, name);

        return o != UINT32_MAX && n != UINT32_MAX &&
               (old->definitions.items[o].next != UINT32_MAX || new->definitions.items[n].next != UINT32_MAX);
}

static void gather_one(Side *side, UnitDefinitions *out, const Name *name, Hash content, uint32_t unit,
                       uint32_t *seen, uint32_t *mark) {
        for (uint32_t d = side_definitions(side, name); d != UINT32_MAX; d = side->definitions.items[d].next)
                if (hash_equal(side->definitions.items[d].content, content))
                        add_units(side, out, name->hash, d, unit, seen, ++*mark);
}

static void gather_units(Side *side, const Side *old, const Side *new, UnitDefinitions *out) {
        _cleanup_(freep) uint32_t *seen = vec_grow(NULL, side->units.n + 1, sizeof(uint32_t));
        uint32_t mark = 0;
        size_t n = 0;

        memset(seen, 0, (side->units.n + 1) * sizeof(uint32_t));
        if (side->edges.n)
                qsort(side->edges.items, side->edges.n, sizeof(UnitEdge), by_used);
        for (size_t i = 1; i < side->edges.n; i++)
                if (by_used(&side->edges.items[n], &side->edges.items[i]) != 0)
                        side->edges.items[++n] = side->edges.items[i];
        side->edges.n = side->edges.n ? n + 1 : 0;
        for (size_t i = 0; i < side->types.n; i++) {
                const TypeEntry *t = &side->types.items[i];

                if (t->listed && t->name && t->state == TYPE_DONE && ambiguous(old, new, t->name))
                        gather_one(side, out, t->name, t->content, t->unit, seen, &mark);
        }
        for (size_t i = 0; i < side->anonymous_enums.n; i++) {
                AnonymousEnum a = side->anonymous_enums.items[i];
                const TypeEntry *t = &side->types.items[a.entry];
                Dwarf_Die die = { .addr = t->addr, .cu = t->cu };
                Enumerators all = { 0 };

                if (!t->named_by_typedef)
                        content_enumerators(side, &die, &all);
                for (size_t j = 0; j < all.n; j++) {
                        const Name *name = side_name(side, a.scope, NAME_ENUMERATOR, all.items[j].name);

                        if (ambiguous(old, new, name))
                                gather_one(side, out, name, content_constant(all.items[j].value), t->unit,
                                           seen, &mark);
                }
                vec_free(&all);
        }
        if (out->all.n)
                qsort(out->all.items, out->all.n, sizeof(UnitDefinition), by_name_and_unit);
}

/* The definitions of `name` that `unit` has: [*from, return value). */
static size_t units_find(const UnitDefinitions *u, Hash name, Hash unit, size_t *from) {
        UnitDefinition key = { name, unit, 0 };
        size_t lo = 0, hi = u->all.n;

        while (lo < hi) {
                size_t middle = lo + (hi - lo) / 2;

                if (by_name_and_unit(&u->all.items[middle], &key) < 0)
                        lo = middle + 1;
                else
                        hi = middle;
        }
        for (*from = lo; lo < u->all.n && hash_equal(u->all.items[lo].name, name) &&
                         hash_equal(u->all.items[lo].unit, unit);)
                lo++;
        return lo;
}

/* Every unit that had the definition and has one of that name still must have one that agrees. */
static bool units_agree(Context *x, uint32_t old, Notes *notes) {
        Hash name = x->c.old->definitions.items[old].name->hash;
        const UnitDefinitions *olds = x->old_units, *news = x->new_units;
        size_t i = 0, end;

        units_find(olds, name, (Hash){ 0 }, &i);
        for (; i < olds->all.n && hash_equal(olds->all.items[i].name, name); i++) {
                size_t from;
                bool agree = false;

                if (olds->all.items[i].definition != old)
                        continue;
                end = units_find(news, name, olds->all.items[i].unit, &from);
                for (size_t j = from; j < end && !agree; j++)
                        agree = definitions_agree(x, old, news->all.items[j].definition, NULL);
                if (!agree && from < end) {
                        definitions_agree(x, old, news->all.items[from].definition, notes);
                        return false;
                }
        }
        return true;
}

static void compare_definition(Context *x, uint32_t old) {
        const Definition *o = &x->c.old->definitions.items[old];
        uint32_t first = side_definitions(x->c.new, o->name), best = first;
        Notes notes = { 0 };
        bool agree = false;

        for (uint32_t n = first; n != UINT32_MAX && !agree; n = x->c.new->definitions.items[n].next)
                agree = definitions_agree(x, old, best = n, NULL);
        if (first == UINT32_MAX)
                return; /* gone: where something still has it, that is compared */
        if (!agree)
                definitions_agree(x, old, best, &notes);
        else if (units_agree(x, old, &notes))
                return;
        add_change(x, o->name, definition_tag(x->c.old, old), &notes);
}

static int variable_order(const void *a, const void *b) {
        const Variable *const *x = a, *const *y = b;

        return memcmp(&(*x)->name->hash, &(*y)->name->hash, sizeof(Hash));
}

static int bare_order(const void *a, const void *b) {
        const Variable *const *x = a, *const *y = b;

        return strcmp((*x)->name->text, (*y)->name->text);
}

static const Variable **sorted_variables(Side *side, int (*order)(const void *, const void *)) {
        const Variable **all = vec_grow(NULL, side->variables.n + 1, sizeof(*all));

        for (size_t i = 0; i < side->variables.n; i++)
                all[i] = &side->variables.items[i];
        if (side->variables.n)
                qsort(all, side->variables.n, sizeof(*all), order);
        return all;
}

static size_t lower_bound(const Variable **all, size_t n, const Variable *key,
                          int (*order)(const void *, const void *)) {
        size_t lo = 0, hi = n;

        while (lo < hi) {
                size_t middle = lo + (hi - lo) / 2;

                if (order(&all[middle], &key) < 0)
                        lo = middle + 1;
                else
                        hi = middle;
        }
        return lo;
}

/*
 * A variable of the same name must hold the same type. A static whose file or function is called
 * otherwise now is looked for by its bare name among those that are new.
 */
static void compare_variables(Context *x) {
        Side *old = x->c.old, *new = x->c.new;
        _cleanup_(freep) const Variable **by_key = sorted_variables(new, variable_order);
        _cleanup_(freep) const Variable **by_text = sorted_variables(new, bare_order);

        for (size_t i = 0; i < old->variables.n; i++) {
                const Variable *o = &old->variables.items[i], *candidate = NULL;
                bool exact = true, agree = false;
                Notes notes = { 0 };
                size_t at;

                if (!o->has_type || o->constant)
                        continue;
                at = lower_bound(by_key, new->variables.n, o, variable_order);
                for (; at < new->variables.n &&variable_order(&by_key[at], &o) == 0 && !agree; at++) {
                        candidate = by_key[at];
                        agree = candidate->constant || !candidate->has_type ||
                                compare_types(&x->c, &o->die, &candidate->die, NULL, 0);
                }
                if (!candidate) {
                        exact = false;
                        at = lower_bound(by_text, new->variables.n, o, bare_order);
                        for (; at < new->variables.n &&bare_order(&by_text[at], &o) == 0 && !agree; at++) {
                                if (side_has_name(old, by_text[at]->name))
                                        continue;
                                candidate = by_text[at];
                                agree = candidate->constant || !candidate->has_type ||
                                        compare_types(&x->c, &o->die, &candidate->die, NULL, 0);
                        }
                }
                if (!candidate || agree)
                        continue;
                compare_types(&x->c, &o->die, &candidate->die, &notes, 0);
                if (!exact)
                        notes.own = false;
                if (o->tls != candidate->tls)
                        notes.own = true;
                add_change(x, o->name, DW_TAG_variable, &notes);
        }
}

static int change_order(const void *a, const void *b) {
        const Change *x = a, *y = b;
        int r;

        if (x->own != y->own)
                return x->own ? -1 : 1;
        r = strcmp(x->subject, y->subject);
        return r ? r : strcmp(x->detail, y->detail);
}

typedef struct Reader {
        Side side;
        const char *path;
        Error error;
        int result;
} Reader;

static void *read_thread(void *data) {
        Reader *r = data;

        r->result = side_read(&r->side, r->path, true, &r->error);
        return NULL;
}

static void read_both(Reader *old, Reader *new) {
        pthread_attr_t attributes;
        pthread_t thread;
        bool started;

        /* The walk recurses as deep as debug information nests. */
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 8 << 20);
        started = pthread_create(&thread, &attributes, read_thread, new) == 0;
        pthread_attr_destroy(&attributes);
        read_thread(old);
        if (started)
                pthread_join(thread, NULL);
        else
                read_thread(new);
}

static void compare_sides(Context *x) {
        UnitDefinitions olds = { 0 }, news = { 0 };

        gather_units(x->c.old, x->c.old, x->c.new, &olds);
        gather_units(x->c.new, x->c.old, x->c.new, &news);
        x->old_units = &olds;
        x->new_units = &news;
        for (uint32_t i = 0; i < x->c.old->definitions.n; i++)
                compare_definition(x, i);
        compare_variables(x);
        vec_free(&olds.all);
        vec_free(&news.all);
}

int dwarf_compare_types(const char *old_path, const char *new_path, Verdict *v, bool *complete, Error *e) {
        Reader old = { .path = old_path }, new = { .path = new_path };
        int r = 0;

        read_both(&old, &new);
        if (old.result < 0 || new.result < 0) {
                const Error *first = old.result < 0 ? &old.error : &new.error;

                r = error_set(e, first->code, "%s", first->text);
        } else {
                Context x = { .c = { .old = &old.side, .new = &new.side }, .arena = arena_new() };

                if (old.result == 0 && new.result == 0)
                        compare_sides(&x);
                if (x.changes.n)
                        qsort(x.changes.items, x.changes.n, sizeof(Change), change_order);
                for (size_t i = 0; i < x.changes.n; i++)
                        verdict_add(v, REFUSAL_CODE_LAYOUT_CHANGED, x.changes.items[i].subject, "%s",
                                    x.changes.items[i].detail);
                if (x.c.exhausted)
                        side_incomplete(&old.side, "%s: types too large to compare", old_path);
                *complete = !old.side.why[0] && !new.side.why[0];
                v->evidence =
                        *complete ? arena_printf(v->arena,
                                                 "DWARF of both builds: %zu types and %zu variables compared",
                                                 old.side.definitions.n, old.side.variables.n)
                                  : arena_strdup(v->arena, old.side.why[0] ? old.side.why : new.side.why);
                vec_free(&x.changes);
                arena_free(x.arena);
                compare_release(&x.c);
        }
        side_release(&old.side);
        side_release(&new.side);
        return r;
}

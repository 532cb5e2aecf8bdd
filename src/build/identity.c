/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "build/judge-parts.h"

/*
 * Constants that changed live twice after a patch: the old one, to which the objects of the process
 * may point, and the new one, which carried code uses. That is right only as long as nobody keeps or
 * compares the address: code that stores it, returns it, hands it on or compares it would sooner or
 * later hold an old address against a new one. Text is left out: it is read, and kept by many who only read
 * it. But who compares the address of a text itself (the default, which must not be freed) is seen.
 */

static bool inside(const Values *w, Value v, Side side, uint64_t addr, uint64_t size) {
        if (side == SIDE_OLD)
                return v.root == ROOT_IMAGE && (uint64_t)v.off - addr < size;
        if (v.root < ROOT_FIRST)
                return false;
        const Node *n = values_node(w, v.root);

        return (n->kind == NODE_FRESH_GLOBAL || n->kind == NODE_GLOBAL) && (uint64_t)n->off - addr < size;
}

/* Handing the address to a function of the C library that only reads what it is given keeps nothing. */
static bool reads_only(const Values *w, const CallSite *c) {
        const Node *n = c->callee < ROOT_FIRST ? NULL : values_node(w, c->callee);

        return n && n->kind == NODE_FUNCTION && n->known && !(n->known->flags & (KNOWN_FRESH | KNOWN_FREE)) &&
               (n->known->sizes || n->known->strings);
}

/* The op puts something into memory other than the stack. */
static bool stores(const FnValues *f, uint32_t i) {
        const Op *op = &f->ops[i];
        const Access *a;
        size_t n;

        if (op->kind != OP_MOV || !op->has_mem || !op->mem_first)
                return false;
        a = accesses_of_op(f, i, &n);
        return n == 0 || a->at.root != ROOT_STACK;
}

static bool keeps(Values *w, Side side, uint32_t function, uint64_t addr, uint64_t size) {
        const FnValues *f = values_of(w, side, function);

        if (!f || f->incomplete)
                return true;
        if (inside(w, f->result, side, addr, size))
                return true;
        for (size_t i = 0; i < f->n_calls; i++)
                for (unsigned k = 0; k < VALUES_MAX_ARGS && !reads_only(w, &f->calls[i]); k++)
                        if (inside(w, f->calls[i].args[k], side, addr, size))
                                return true;
        for (uint32_t i = 0; i < f->n_ops; i++) {
                const Op *op = &f->ops[i];

                if ((op->kind == OP_CMP || op->kind == OP_SUB || stores(f, i)) &&
                    f->op_value[i].root != VALUE_UNSET && inside(w, f->op_value[i], side, addr, size))
                        return true;
        }
        /* The end of what lies before it: new code would walk along the old one of that, to the end of the
         * new one. */
        for (size_t i = 0; i < f->n_ends; i++)
                if (inside(w, f->ends[i].end, side, addr, size) &&
                    !inside(w, f->ends[i].at, side, addr, size))
                        return true;
        return false;
}

static const ConstTable *changed_at(const Diff *d, uint64_t new) {
        for (size_t i = 0; i < d->n_changed_consts; i++)
                if (new - d->changed_consts[i].new < d->changed_consts[i].size)
                        return &d->changed_consts[i];
        return table_at(d, new);
}

enum { MAX_TEXTS = 16 };

static bool is_text(const Code *code, uint64_t addr) {
        return place_of(code, addr).kind == PLACE_CONST &&
               constant_is_text(code->image, addr, const_extent(code, addr));
}

/* The address in its own image, which the values of the new side may name by what lies there in the old one;
 * 0: none that the function takes. */
static uint64_t own_address(Values *w, Side side, const Function *f, Value v) {
        const Diff *d = values_diff(w);
        uint64_t old;

        if (v.stride || v.root == (uint32_t)VALUE_UNSET)
                return 0;
        if (v.root >= ROOT_FIRST && values_node(w, v.root)->kind == NODE_FRESH_GLOBAL)
                return (uint64_t)(values_node(w, v.root)->off + v.off);
        if (v.root != ROOT_IMAGE || side == SIDE_OLD)
                return v.root == ROOT_IMAGE ? (uint64_t)v.off : 0;
        for (uint32_t k = 0; k < f->n_refs; k++) {
                uint64_t target = d->new->refs[f->ref + k].target;

                if (locate_data(d, target, &old) == MAP_TESTIFIED && old == (uint64_t)v.off)
                        return target;
        }
        return 0;
}

/* The texts whose addresses the function holds something against. */
static size_t texts_compared(Values *w, Side side, uint32_t function, uint64_t *out) {
        const FnValues *f = values_of(w, side, function);
        const Code *code = values_code(w, side);
        size_t n = 0;

        for (uint32_t i = 0; !f->incomplete && i < f->n_ops && n < MAX_TEXTS; i++) {
                uint64_t addr = f->ops[i].kind == OP_CMP
                                        ? own_address(w, side, &code->functions[function], f->op_value[i])
                                        : 0;

                if (addr && is_text(code, addr))
                        out[n++] = addr;
        }
        return n;
}

/* A text that the function may use by its address, and that the old process does not have. */
static bool takes_new_text(const Diff *d, const Function *g) {
        for (uint32_t k = 0; k < g->n_refs; k++) {
                const Ref *r = &d->new->refs[g->ref + k];
                const MapEntry *e = takes_address(r) ? diff_map(d, r->target) : NULL;

                if (takes_address(r) && (!e || e->state != MAP_TESTIFIED) && is_text(d->new, r->target))
                        return true;
        }
        return false;
}

static void judge_texts(Diff *d, Values **w) {
        uint64_t old[MAX_TEXTS], new[MAX_TEXTS];

        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];
                size_t n, n_old;

                if ((m->kind != MATCH_CHANGED && m->kind != MATCH_CARRIED) ||
                    !takes_new_text(d, match_new(d, m)))
                        continue;
                if (!*w)
                        *w = values_new(d);
                n_old = texts_compared(*w, SIDE_OLD, m->old, old);
                n = n_old ? texts_compared(*w, SIDE_NEW, m->new, new) : 0;
                for (size_t k = 0; k < n_old; k++) {
                        uint64_t brought = 0;
                        bool same = false;

                        for (size_t t = 0; t < n; t++) {
                                const MapEntry *e = diff_map(d, new[t]);

                                /* The same text, brought along, has another address. */
                                if (!e || e->state != MAP_TESTIFIED)
                                        brought = new[t];
                                else
                                        same = same || pointees_same(d, old[k], new[t]);
                        }
                        if (same || !brought)
                                continue;
                        verdict_add(
                                &d->verdict, REFUSAL_CODE_DATA_CONST, data_name(d, brought),
                                "the text is another one than the process has, and %s compares its address",
                                match_new(d, m)->name);
                        break;
                }
        }
}

typedef enum Whose {
        NOBODYS, /* no constant and no variable */
        OLD,     /* new code uses what the old process has */
        BROUGHT, /* it gets its own: a copy of a constant, an added variable */
} Whose;

static Whose whose(const Diff *d, uint64_t addr) {
        const MapEntry *e = diff_map(d, addr);
        PlaceKind kind = place_of(d->new, addr).kind;
        uint64_t old;

        if (kind == PLACE_CONST)
                return e && e->state == MAP_TESTIFIED ? OLD : BROUGHT;
        if (kind == PLACE_RELRO || kind == PLACE_DATA)
                return locate_data(d, addr, &old) == MAP_TESTIFIED ? OLD : BROUGHT;
        return NOBODYS;
}

/* The function takes the addresses of two things, of which the second may be the end of the first, and only
 * one of them is the old process's: a walk would never meet it. Along text nobody walks so. 0: no such. */
static uint64_t doubtful_end(const Diff *d, const Function *g) {
        VEC(uint64_t) taken = { 0 };
        const ImageSection *in = NULL;
        bool old = false, brought = false;
        uint64_t end = 0;

        for (uint32_t k = 0; k < g->n_refs; k++) {
                const Ref *r = &d->new->refs[g->ref + k];

                if (takes_address(r) && whose(d, r->target) != NOBODYS)
                        vec_push(&taken, r->target);
        }
        if (taken.n)
                qsort(taken.items, taken.n, sizeof(*taken.items), u64_compare);
        for (size_t i = 0; i < taken.n && !end; i++) {
                uint64_t at = taken.items[i];
                const ImageSection *s = image_section_at(d->new_image, at);
                Whose is = whose(d, at);

                if (s == in || at == s->addr)
                        end = (is == OLD ? brought : old) ? at : 0;
                if (s != in)
                        old = brought = false;
                in = s;
                old |= is == OLD && !is_text(d->new, at);
                brought |= is == BROUGHT && !is_text(d->new, at);
        }
        vec_free(&taken);
        return end;
}

/* The address that the function takes of what `v` lies in, wherever in it a walk has come to; 0: none. */
static uint64_t walked(Values *w, const Function *g, Value v) {
        const Diff *d = values_diff(w);
        bool fresh = v.root >= ROOT_FIRST && v.root != (uint32_t)VALUE_UNSET &&
                     values_node(w, v.root)->kind == NODE_FRESH_GLOBAL;
        uint64_t at = (uint64_t)v.off + (fresh ? (uint64_t)values_node(w, v.root)->off : 0), best = 0,
                 near = 0;

        if (!fresh && v.root != ROOT_IMAGE)
                return 0;
        for (uint32_t k = 0; k < g->n_refs; k++) {
                const Ref *r = &d->new->refs[g->ref + k];
                uint64_t name = r->target;

                if (!takes_address(r) || (!fresh && locate_data(d, r->target, &name) != MAP_TESTIFIED) ||
                    name > at || (best && name <= near))
                        continue;
                best = r->target;
                near = name;
        }
        return best;
}

static void judge_ends(Diff *d, Values **w) {
        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];
                const Function *g = match_new(d, m);
                const FnValues *f;
                uint64_t end;
                bool mixed;

                if (m->kind == MATCH_IDENTICAL || m->kind == MATCH_REMOVED || !(end = doubtful_end(d, g)))
                        continue;
                if (!*w)
                        *w = values_new(d);
                f = values_of(*w, SIDE_NEW, m->new);
                mixed = !f || f->incomplete;
                for (size_t k = 0; !mixed && k < f->n_ends; k++) {
                        uint64_t a = walked(*w, g, f->ends[k].at), b = walked(*w, g, f->ends[k].end);

                        mixed = a && b && whose(d, a) != NOBODYS && whose(d, b) != NOBODYS &&
                                whose(d, a) != whose(d, b);
                }
                if (mixed)
                        verdict_add(&d->verdict, REFUSAL_CODE_DATA_CONST, data_name(d, end),
                                    "%s may walk up to it from what is not beside it any more", g->name);
        }
}

void judge_identity(Diff *d) {
        Values *w = NULL;

        judge_texts(d, &w);
        judge_ends(d, &w);
        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];
                const Function *f = match_old(d, m), *g = match_new(d, m);

                if (m->kind == MATCH_IDENTICAL || m->kind == MATCH_REMOVED ||
                    (d->n_changed_consts == 0 && d->n_tables == 0))
                        continue;
                for (uint32_t k = 0; k < g->n_refs; k++) {
                        const Ref *r = &d->new->refs[g->ref + k];
                        const ConstTable *t = takes_address(r) ? changed_at(d, r->target) : NULL;
                        bool kept;

                        if (!t)
                                continue;
                        if (!w)
                                w = values_new(d);
                        if (m->kind == MATCH_CARRIED && f->n_refs == g->n_refs) {
                                uint64_t old = d->old->refs[f->ref + k].target;

                                kept = keeps(w, SIDE_OLD, m->old, old,
                                             MAX(const_extent(d->old, old), t->size));
                        } else {
                                kept = keeps(w, SIDE_NEW, m->new, t->new, t->size);
                        }
                        if (kept)
                                verdict_add(&d->verdict, REFUSAL_CODE_DATA_CONST, data_name(d, t->new),
                                            "it changed, and %s keeps or compares its address", g->name);
                }
        }
        values_free(w);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <string.h>

/* Who calls, and who refers to what: made when first asked for. */

static int call_compare(const void *x, const void *y) {
        const CallRef *a = x, *b = y;

        if (a->callee != b->callee)
                return a->callee < b->callee ? -1 : 1;
        return a->caller < b->caller ? -1 : a->caller > b->caller;
}

static int ref_compare(const void *x, const void *y) {
        const Ref *a = *(const Ref *const *)x, *b = *(const Ref *const *)y;

        if (a->target != b->target)
                return a->target < b->target ? -1 : 1;
        return a->function < b->function ? -1 : a->function > b->function;
}

static void index_calls(Judge *j, Side side) {
        const Code *code = values_code(j->w, side);
        VEC(CallRef) calls = { 0 };

        for (size_t i = 0; i < code->n_refs; i++) {
                const Ref *r = &code->refs[i];
                const Function *f;
                uint32_t target;

                if ((r->kind != REF_CALL && r->kind != REF_JUMP) || r->function >= code->n_functions)
                        continue;
                f = code_function_at(code, r->target);
                if (f && f->addr == r->target)
                        target = (uint32_t)(f - code->functions);
                else if (values_callee_at(j->w, side, r->target, &target) == ROOT_NONE || target == NO_TARGET)
                        continue;
                vec_push(&calls, (CallRef){ target, r->function });
        }
        if (calls.n)
                qsort(calls.items, calls.n, sizeof(CallRef), call_compare);
        if (!calls.items)
                calls.items = vec_grow(NULL, 1, sizeof(CallRef));
        j->callers[side] = calls.items;
        j->n_callers[side] = calls.n;
}

static void index_refs(Judge *j) {
        const Code *code = j->d->old;

        j->by_target = vec_grow(NULL, code->n_refs + 1, sizeof(*j->by_target));
        for (size_t i = 0; i < code->n_refs; i++)
                j->by_target[i] = &code->refs[i];
        qsort(j->by_target, code->n_refs, sizeof(*j->by_target), ref_compare);
}

size_t callers_of(Judge *j, Side side, uint32_t callee, const CallRef **first) {
        const CallRef *c;
        size_t lo = 0, hi, end;

        if (!j->callers[side])
                index_calls(j, side);
        c = j->callers[side];
        hi = j->n_callers[side];

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (c[mid].callee < callee)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (end = lo; end < j->n_callers[side] && c[end].callee == callee; end++)
                ;
        *first = &c[lo];
        return end - lo;
}

size_t refs_to(Judge *j, uint64_t addr, const Ref ***first) {
        size_t lo = 0, hi = j->d->old->n_refs, end;

        if (!j->by_target)
                index_refs(j);

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (j->by_target[mid]->target < addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (end = lo; end < j->d->old->n_refs && j->by_target[end]->target == addr; end++)
                ;
        *first = &j->by_target[lo];
        return end - lo;
}

/* The functions of the old image that call `callee`, a function of it or an import. */
size_t users_of(Judge *j, uint32_t callee, uint32_t *users, size_t max) {
        const Node *n = values_node(j->w, callee);
        const Image *image = j->d->old_image;
        size_t count = 0;

        if (callee < ROOT_FIRST || n->kind != NODE_FUNCTION ||
            (n->off & ADDED_FUNCTION && !(n->off & SYMBOL_FUNCTION)))
                return 0;
        if (!(n->off & SYMBOL_FUNCTION)) {
                const CallRef *c;
                size_t m = callers_of(j, SIDE_OLD, (uint32_t)n->off, &c);

                for (size_t i = 0; i < m && count < max; i++)
                        if (i == 0 || c[i].caller != c[i - 1].caller)
                                users[count++] = c[i].caller;
                return count;
        }
        for (size_t k = 0; k < image->n_plts && count < max; k++) {
                const Ref **r;
                size_t m;

                if (!image->plts[k].symbol || image->plts[k].symbol >= image->n_dynsyms ||
                    strcmp(image->dynsyms[image->plts[k].symbol].name, n->name) != 0)
                        continue;
                m = refs_to(j, image->plts[k].addr, &r);
                for (size_t i = 0; i < m && count < max; i++)
                        if ((i == 0 || r[i]->function != r[i - 1]->function) &&
                            r[i]->function < j->d->old->n_functions)
                                users[count++] = r[i]->function;
        }
        return count;
}

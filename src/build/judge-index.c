/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <string.h>

/* Who calls, and who refers to what: made when first asked for. */

static uint32_t callee_of(Judge *j, Side side, const Ref *r) {
        const Code *code = values_code(j->w, side);
        const Function *f;
        uint32_t target;

        if (r->kind != REF_CALL && r->kind != REF_JUMP)
                return NO_TARGET;
        f = code_function_at(code, r->target);
        if (f && f->addr == r->target)
                return (uint32_t)(f - code->functions);
        return values_callee_at(j->w, side, r->target, &target) == ROOT_NONE ? NO_TARGET : target;
}

/* References are in the order of functions, so the callers of each callee will be, too. */
static void index_calls(Judge *j, Side side) {
        const Code *code = values_code(j->w, side);
        uint32_t *callees = vec_grow(NULL, code->n_refs + 1, sizeof(*callees)),
                 *from = calloc(code->n_functions + 2, sizeof(*from));
        CallRef *calls;

        if (!from)
                abort();
        for (size_t i = 0; i < code->n_refs; i++) {
                callees[i] = callee_of(j, side, &code->refs[i]);
                if (callees[i] != NO_TARGET)
                        from[callees[i] + 1]++;
        }
        for (uint32_t i = 0; i < code->n_functions; i++)
                from[i + 1] += from[i];
        j->n_callers[side] = from[code->n_functions];
        calls = vec_grow(NULL, j->n_callers[side] + 1, sizeof(*calls));
        for (size_t i = 0; i < code->n_refs; i++)
                if (callees[i] != NO_TARGET)
                        calls[from[callees[i]]++] = (CallRef){ callees[i], code->refs[i].function };
        j->callers[side] = calls;
        free(callees);
        free(from);
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
                const Code *code = j->d->old;
                const uint32_t *refs;
                size_t m;

                if (!image->plts[k].symbol || image->plts[k].symbol >= image->n_dynsyms ||
                    strcmp(image->dynsyms[image->plts[k].symbol].name, n->name) != 0)
                        continue;
                refs = code_refs_to(code, image->plts[k].addr, &m);
                for (size_t i = 0; i < m && count < max; i++)
                        if (i == 0 || code->refs[refs[i]].function != code->refs[refs[i - 1]].function)
                                users[count++] = code->refs[refs[i]].function;
        }
        return count;
}

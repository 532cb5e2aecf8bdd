/* SPDX-License-Identifier: Apache-2.0 */
#include "build/values.h"

#include <stdlib.h>

enum { MAX_DEPTH = 5, MAX_INSNS = 600, KNOWN = 1 << 15 };

static uint16_t clobbers(Values *w, Side side, uint32_t function, unsigned depth) {
        const Code *code = values_code(w, side);
        const Function *f = &code->functions[function];
        uint16_t *memo = &w->clobbers[side][function], mask = 0;
        Op *ops;
        uint32_t n;

        if (*memo)
                return *memo & CALLER_SAVED;
        if (depth > MAX_DEPTH)
                return CALLER_SAVED;
        *memo = CALLER_SAVED | KNOWN; /* also while this function is being looked at: recursion */
        if (f->n_insns > MAX_INSNS || f->undecoded || values_decode(code, f, &ops, &n) < 0)
                return CALLER_SAVED;
        for (uint32_t i = 0; i < n && mask != CALLER_SAVED; i++) {
                const Op *op = &ops[i];
                const CodePart *part;

                mask |= op->writes & CALLER_SAVED;
                if (op->kind == OP_CALL || op->kind == OP_JMP || op->kind == OP_JCC) {
                        part = op->target ? code_part_at(code, op->target) : NULL;
                        if (part && part->function == function)
                                continue;
                        if (!part || code_part_start(code, op->target) != part)
                                mask = CALLER_SAVED;
                        else
                                mask |= clobbers(w, side, part->function, depth + 1);
                }
        }
        free(ops);
        w->clobbers[side][function] = mask | KNOWN;
        return mask;
}

uint16_t values_clobbers(Values *w, Side side, uint32_t function) {
        return clobbers(w, side, function, 0);
}

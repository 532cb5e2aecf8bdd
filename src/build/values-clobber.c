/* SPDX-License-Identifier: Apache-2.0 */
#include "build/values.h"

#include <stdlib.h>

enum { MAX_DEPTH = 5, MAX_INSNS = 600, KNOWN = 1 << 15 };

static uint16_t clobbers(Values *w, Side side, uint32_t function, unsigned depth);

/* By where a jump or call of the function leads; 0 when that is in the function itself. */
static uint16_t clobbered_beyond(Values *w, Side side, uint32_t function, uint64_t target, unsigned depth) {
        const CodePart *part = target ? code_part_at(values_code(w, side), target) : NULL;

        if (part && part->function == function)
                return 0;
        return part && part->addr == target ? clobbers(w, side, part->function, depth + 1) : CALLER_SAVED;
}

static uint16_t clobbers(Values *w, Side side, uint32_t function, unsigned depth) {
        const Code *code = values_code(w, side);
        const Function *f = &code->functions[function];
        uint16_t *memo = &w->clobbers[side][function], mask = 0;

        if (*memo)
                return *memo & CALLER_SAVED;
        if (depth > MAX_DEPTH)
                return CALLER_SAVED;
        *memo = CALLER_SAVED | KNOWN; /* also while this function is being looked at: recursion */
        if (f->n_insns > MAX_INSNS || f->undecoded)
                return CALLER_SAVED;
        /* (most change them all before long, and are not decoded any further) */
        for (uint32_t p = 0; p < f->n_parts; p++) {
                const CodePart *part = &code->parts[f->parts[p]];

                for (uint32_t i = 0; i < part->n_insns && mask != CALLER_SAVED; i++) {
                        Op op;

                        if (values_decode_one(code, insn_addr(code, &code->insns[part->insn + i]), &op) < 0)
                                return CALLER_SAVED;
                        mask |= op.writes & CALLER_SAVED;
                        if (op.kind == OP_CALL || op.kind == OP_JMP || op.kind == OP_JCC)
                                mask |= clobbered_beyond(w, side, function, op.target, depth);
                }
        }
        w->clobbers[side][function] = mask | KNOWN;
        return mask;
}

uint16_t values_clobbers(Values *w, Side side, uint32_t function) {
        return clobbers(w, side, function, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"
#include "build/values.h"

#include <stdlib.h>
#include <string.h>

/*
 * Old functions that have no partner in the new build, and may run all the same: a thread began in one, an
 * object holds the address of one. They were compiled against the old functions that they call, and reach the
 * new ones. Where one of these takes other arguments now, or takes them in another way (compilers agree on
 * that between a function and all its callers, when they see all), old code hands it the wrong ones. That a
 * function is called as before is known when somebody who has not changed calls it.
 */

/* Functions whose address may be kept somewhere. */
static bool *addressed(const Code *code, Arena *arena) {
        bool *out = arena_newa(arena, bool, code->n_functions + 1);

        for (size_t i = 0; i < code->n_refs; i++)
                if (takes_address(&code->refs[i]) && code->refs[i].begins != NO_FUNCTION)
                        out[code->refs[i].begins] = true;
        mark_named(code, out);
        return out;
}

static bool stays(const Diff *d, uint32_t old) {
        return d->matches[d->old_match[old]].kind == MATCH_REMOVED;
}

enum { REG_RSP = 4, REG_RBP = 5 };
enum { ARGUMENTS = 1 << 7 | 1 << 6 | 1 << 2 | 1 << 1 | 1 << 8 | 1 << 9 };

/* The bytes may be a move between 64 bits of memory or a register and the stack pointer. */
static bool may_move_stack(const uint8_t *b, unsigned length) {
        return length >= 3 && (b[0] & 0xf8) == 0x48 && (b[1] == 0x89 || b[1] == 0x8b) &&
               ((b[2] >> 3 & 7) == REG_RSP || (b[2] >> 6 == 3 && (b[2] & 7) == REG_RSP));
}

/* Hardly any function does; only those are decoded as a whole. */
static bool moves_stack_twice(const Code *code, const Function *f) {
        unsigned moves = 0;

        for (uint32_t k = 0; k < f->n_parts; k++) {
                const CodePart *p = &code->parts[f->parts[k]];
                const uint8_t *b = image_bytes(code->image, p->addr, p->size);

                for (uint32_t j = 0; b && j < p->n_insns; j++) {
                        const Insn *insn = &code->insns[p->insn + j];

                        moves += may_move_stack(b + (insn_addr(code, insn) - p->addr), insn->length);
                }
        }
        return moves >= 2;
}

/*
 * A function that keeps its stack pointer somewhere and takes another one that it was given, or that lies in
 * an object: Ruby's and PHP's fibers, MariaDB's contexts. Compilers move the stack pointer for frames and
 * arrays of variable length only, to what the function itself has computed.
 */
static bool switches_stacks(const Code *code, const Function *f) {
        _cleanup_(freep) Op *ops = NULL;
        bool saves = false, takes = false;
        uint16_t written = 0, before = 0;
        uint32_t n;

        if (values_decode(code, f, &ops, &n) < 0)
                return false;
        for (uint32_t i = 0; i < n; i++) {
                const Op *op = &ops[i];

                written |= before;
                before = op->writes;
                if (op->kind == OP_JMP || op->kind == OP_RET) /* what follows is come to from elsewhere */
                        written = before = 0;
                if (op->kind != OP_MOV)
                        continue;
                if (op->src == REG_RSP && op->mem_first)
                        saves |= op->base != REG_RSP && op->base != REG_RBP;
                else if (op->src == REG_RSP)
                        saves |= op->dst != REG_RBP;
                else if (op->dst == REG_RSP && op->has_mem && !op->mem_first)
                        takes |= op->base >= 0 && (1 << op->base & ARGUMENTS & ~written) != 0;
                else if (op->dst == REG_RSP && op->src >= 0)
                        takes |= (1 << op->src & ARGUMENTS & ~written) != 0;
        }
        return saves && takes;
}

/* Coroutines that are suspended in an old function go on there, on stacks that no thread is on. */
static bool has_coroutines(const Code *code) {
        static const char *const switches[] = { "swapcontext", "setcontext", "jump_fcontext",
                                                "ontop_fcontext" };
        const Image *image = code->image;

        for (size_t i = 1; i < image->n_dynsyms; i++)
                for (size_t k = 0; k < ELEMENTSOF(switches); k++)
                        if (!image->dynsyms[i].defined && strcmp(image->dynsyms[i].name, switches[k]) == 0)
                                return true;
        for (uint32_t i = 0; i < code->n_functions; i++)
                if (moves_stack_twice(code, &code->functions[i]) &&
                    switches_stacks(code, &code->functions[i]))
                        return true;
        return false;
}

void judge_left(Diff *d) {
        const Code *code = d->old;
        bool *runs = addressed(code, d->arena), *called = arena_newa(d->arena, bool, code->n_functions + 1),
             *said = arena_newa(d->arena, bool, code->n_functions + 1), coroutines = has_coroutines(code),
             more = true;

        for (uint32_t i = 0; i < code->n_functions; i++)
                runs[i] = (runs[i] && stays(d, i)) || (coroutines && has_changed(d, i));
        while (more) {
                more = false;
                for (size_t i = 0; i < code->n_refs; i++) {
                        uint32_t to = leads_to(&code->refs[i]);

                        if (to == NO_FUNCTION || !runs[code->refs[i].function] || runs[to] || !stays(d, to))
                                continue;
                        runs[to] = more = true;
                }
        }
        for (size_t i = 0; i < code->n_refs; i++) {
                uint32_t to = leads_to(&code->refs[i]);
                MatchKind kind = d->matches[d->old_match[code->refs[i].function]].kind;

                if (to != NO_FUNCTION && (kind == MATCH_IDENTICAL || kind == MATCH_CARRIED))
                        called[to] = true;
        }
        for (size_t i = 0; i < code->n_refs; i++) {
                uint32_t from = code->refs[i].function, to = leads_to(&code->refs[i]);

                if (to == NO_FUNCTION || !runs[from] || called[to] || said[to] || !has_changed(d, to) ||
                    code->functions[to].exported)
                        continue;
                said[to] = true;
                verdict_add(&d->verdict, REFUSAL_CODE_CALLER_LEFT, code->functions[to].name,
                            "called by %s, which the new build does not have: nothing shows that it may "
                            "still be called as it was",
                            code->functions[from].name);
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/values-run.h"

#include <Zydis/Zydis.h>

/* What one instruction does to the state. */

const uint8_t values_arg_regs[VALUES_MAX_ARGS] = { RDI, RSI, RDX, RCX, R8, R9 };

static void set_reg(Run *r, State *s, const Op *op, Value v) {
        if (op->dst < 0)
                return;
        if (op->size < 4)
                v = value_any();
        if (op->dst == RSP && v.root != ROOT_STACK)
                v = (Value){ ROOT_STACK, 1, 0, 0 };
        s->reg[op->dst] = v;
        record_value(r, v);
}

static Value source(Run *r, State *s, const Op *op, Value at) {
        Value v;

        if (op->has_mem && !op->mem_first)
                v = run_load(r, s, at, op->width);
        else if (op->src >= 0)
                v = s->reg[op->src];
        else
                v = run_imm(r, op);
        if (op->narrow && op->src >= 0)
                v = value_any();
        return v;
}

static void note_escapes(Run *r, const State *s, uint32_t callee) {
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++) {
                Value v = s->reg[values_arg_regs[i]], args[VALUES_MAX_ARGS];
                Escape *e = NULL;
                uint32_t root;

                if (v.root != ROOT_STACK || v.stride)
                        continue;
                for (size_t k = 0; k < r->escapes.n && !e; k++)
                        if (r->escapes.items[k].off == v.off)
                                e = &r->escapes.items[k];
                if (e && (e->op != r->op || e->argument != i))
                        continue;
                for (unsigned k = 0; k < i; k++)
                        args[k] = values_canonical(r->w, r->side, s->reg[values_arg_regs[k]]);
                root = node_make(r->w, &(Node){ .kind = NODE_OUT,
                                                .a = callee,
                                                .off = i,
                                                .stride = values_asked(r->w, args, i) });
                if (e)
                        e->root = root; /* its arguments have become more general */
                else
                        vec_push(&r->escapes, (Escape){ v.off, root, r->op, i });
        }
}

/* Whoever has the address of a local may have written all of it: it ends where the next one begins whose
 * address was handed out, if not before. Numbers behind its first word are forgotten. A pointer there may be
 * another local's, and if it is not, it is still one to a thing of its type. */
static void kill_escaped(const Run *r, State *s) {
        for (size_t k = 0; k < r->escapes.n; k++) {
                int64_t off = r->escapes.items[k].off, end = off + ESCAPE_SPAN;

                for (size_t i = 0; i < r->escapes.n; i++)
                        if (r->escapes.items[i].off > off)
                                end = MIN(end, r->escapes.items[i].off);
                state_slots_kill(s, off, 8);
                state_numbers_kill(s, off, end);
        }
}

/* A small function of the image that returns what it was given, or what hangs on that. */
static bool summary(Run *r, const State *s, uint32_t target, Value *out) {
        const FnValues *f;
        Value args[VALUES_MAX_ARGS];

        if (target == NO_TARGET || r->code->functions[target].n_insns > SUMMARY_INSNS ||
            r->w->depth >= SUMMARY_DEPTH)
                return false;
        r->w->depth++;
        f = values_of(r->w, r->side, target);
        r->w->depth--;
        if (f->incomplete || f->result.root < ROOT_FIRST || !values_has_param(r->w, f->result.root, NULL))
                return false;
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                args[i] = values_canonical(r->w, r->side, s->reg[values_arg_regs[i]]);
        return values_to_caller(r->w, f->result, args, out);
}

/* realloc() and its like, given a null pointer. */
static bool makes_new(const State *s, const Known *known) {
        return known->dest < 0 && known->sizes && value_is_const(s->reg[RDI]) && s->reg[RDI].off == 0;
}

static void note_call_copy(Run *r, const State *s, uint32_t callee) {
        const Known *known = r->w->nodes[callee].kind == NODE_FUNCTION ? r->w->nodes[callee].known : NULL;

        if (known && (known->flags & KNOWN_COPY) && value_is_const(s->reg[RDX]))
                note_copy(r, s->reg[known->dest ? RSI : RDI], s->reg[known->dest ? RDI : RSI],
                          s->reg[RDX].off);
}

static Value call_result(Run *r, const State *s, uint32_t callee, uint32_t target) {
        const Known *known = r->w->nodes[callee].kind == NODE_FUNCTION ? r->w->nodes[callee].known : NULL;
        Value first = values_canonical(r->w, r->side, s->reg[RDI]), given;
        uint32_t asked = known && (known->flags & KNOWN_NOARGS) ? 0 : values_asked(r->w, &first, 1);

        if (callee == ROOT_NONE)
                return value_any();
        if (known && (known->flags & KNOWN_SAME) && !makes_new(s, known))
                return s->reg[RDI];
        if (known && (known->flags & (KNOWN_FRESH | KNOWN_SAME))) {
                int64_t size = 0;

                for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                        if ((known->sizes & (1u << i)) && value_is_const(s->reg[values_arg_regs[i]]))
                                size = size * 4099 + s->reg[values_arg_regs[i]].off;
                return (Value){ node_make(r->w, &(Node){ .kind = NODE_FRESH, .a = callee, .off = size }), 0,
                                0, 0 };
        }
        if (summary(r, s, target, &given))
                return given;
        if (first.root == ROOT_STACK || first.root == ROOT_CONFLICT ||
            r->w->nodes[first.root].depth >= NODE_MAX_DEPTH - 1 ||
            r->w->nodes[first.root].kind == NODE_JOIN || (known && (known->flags & KNOWN_NOARGS)))
                first.root = ROOT_NONE;
        if (r->w->nodes[callee].depth >= NODE_MAX_DEPTH)
                return value_any();
        return (Value){
                node_make(r->w,
                          &(Node){ .kind = NODE_RETURN, .a = callee, .b = first.root, .stride = asked }),
                0, 0, 0
        };
}

/* The caller-saved registers that a call changes. A compiler that knows a function of its own unit keeps
 * values in the others across calls of it. */
static uint16_t changed_by(Run *r, uint32_t target) {
        return target == NO_TARGET ? CALLER_SAVED : values_clobbers(r->w, r->side, target);
}

/* A call (or a tail call); false when it does not return. */
bool run_call(Run *r, State *s, const Op *op, Value at, bool tail) {
        uint32_t target = NO_TARGET, callee = ROOT_NONE;
        const Known *known;
        uint16_t changed;
        Value result;

        if (op->target) {
                if (!r->callees[r->op].known) {
                        callee = values_callee_at(r->w, r->side, op->target, &target);
                        r->callees[r->op] = (Callee){ callee, target, true };
                }
                callee = r->callees[r->op].root;
                target = r->callees[r->op].target;
        } else {
                Value v = values_canonical(r->w, r->side,
                                           op->has_mem    ? run_load(r, s, at, 8)
                                           : op->dst >= 0 ? s->reg[op->dst]
                                                          : value_any());

                callee = v.root == ROOT_CONFLICT ? ROOT_NONE : v.root;
                if (callee >= ROOT_FIRST && r->w->nodes[callee].kind == NODE_FUNCTION && v.off == 0) {
                        int64_t key = r->w->nodes[callee].off;

                        if (!(key & SYMBOL_FUNCTION) && r->side == SIDE_OLD)
                                target = (uint32_t)key;
                }
        }
        if (r->record) {
                CallSite c = {
                        .insn = op->insn, .op = r->op, .callee = callee, .target = target, .tail = tail
                };

                for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                        c.args[i] = values_canonical(r->w, r->side, s->reg[values_arg_regs[i]]);
                vec_push(&r->calls, c);
                record_strings(r, &c);
        }
        if (r->collect) {
                if (r->has_orphan)
                        state_join(r, &r->orphan, s, false);
                else
                        state_copy(&r->orphan, s);
                r->has_orphan = true;
        }
        note_escapes(r, s, callee);
        note_call_copy(r, s, callee);
        result = call_result(r, s, callee, target);
        known = callee >= ROOT_FIRST && r->w->nodes[callee].kind == NODE_FUNCTION ? r->w->nodes[callee].known
                                                                                  : NULL;
        if (r->record)
                r->calls.items[r->calls.n - 1].result = values_canonical(r->w, r->side, result);
        changed = changed_by(r, target) | (1u << RAX);
        for (int i = 0; i < 16; i++)
                if (changed & (1u << i))
                        s->reg[i] = value_any();
        kill_escaped(r, s);
        s->reg[RAX] = result;
        record_value(r, result);
        return !(known && (known->flags & KNOWN_NORETURN));
}

static void string_op(Run *r, State *s, const Op *op) {
        uint16_t w = op->width ? op->width : 1;
        Value count = s->reg[RCX];
        bool repeated = op->writes & (1u << RCX);
        bool exact = repeated && value_is_const(count) && count.off > 0 && count.off * w <= 0x4000;
        bool two = op->mnemonic != ZYDIS_MNEMONIC_STOSB && op->mnemonic != ZYDIS_MNEMONIC_STOSW &&
                   op->mnemonic != ZYDIS_MNEMONIC_STOSD && op->mnemonic != ZYDIS_MNEMONIC_STOSQ &&
                   op->mnemonic != ZYDIS_MNEMONIC_SCASB;
        bool compare = op->mnemonic == ZYDIS_MNEMONIC_SCASB || op->mnemonic == ZYDIS_MNEMONIC_CMPSB;

        if (exact && two && !compare)
                note_copy(r, s->reg[RDI], s->reg[RSI], count.off * w);
        for (int i = 0; i < (two ? 2 : 1); i++) {
                int reg = i == 0 ? RDI : RSI;
                Value at = s->reg[reg];
                uint8_t flags = i == 0 && !compare ? ACCESS_WRITE : ACCESS_READ;

                if (exact)
                        record_access(r, at, (uint32_t)count.off * w, CLASS_VECTOR, flags);
                else
                        record_access(r, value_add(r->w, at, (Value){ ROOT_NONE, repeated ? w : 0, 0, 0 }), w,
                                      CLASS_INT, flags);
                if (at.root == ROOT_STACK && at.stride == 0 && exact && i == 0)
                        state_slots_kill(s, at.off, (uint32_t)count.off * w);
                s->reg[reg] = value_add(r->w, at, (Value){ ROOT_NONE, w, 0, 0 });
        }
        if (repeated)
                s->reg[RCX] = compare ? value_any() : value_const(0);
}

static Value stack_aligned(Value v) {
        /* how far it moves is not known: a region of its own keeps the slots apart */
        return (Value){ ROOT_STACK, v.stride, (v.off & ~INT64_C(63)) - 0x100000, 0 };
}

static void arithmetic(Run *r, State *s, const Op *op, Value at) {
        bool mem = op->has_mem && op->mem_first;
        Value a = mem ? run_load(r, s, at, op->width) : op->dst >= 0 ? s->reg[op->dst] : value_any();
        Value b, v;

        switch (op->kind) {
        case OP_ADD:
                b = source(r, s, op, at);
                v = value_add(r->w, a, b);
                break;
        case OP_SUB:
                b = source(r, s, op, at);
                v = value_sub(a, b);
                break;
        case OP_SHL:
                record_scaled(r, a);
                v = op->has_imm && op->imm >= 0 && op->imm < 24 ? value_scale(a, INT64_C(1) << op->imm)
                                                                : value_any();
                break;
        case OP_IMUL:
                if (op->has_imm) {
                        b = op->has_mem ? run_load(r, s, at, op->width) : op->src >= 0 ? s->reg[op->src] : a;
                        record_scaled(r, b);
                        v = value_scale(b, op->imm);
                } else {
                        v = value_any();
                }
                break;
        default: /* OP_AND */
                if (a.root == ROOT_STACK && op->has_imm)
                        v = stack_aligned(a);
                else if (value_is_const(a) && op->has_imm)
                        v = value_const(a.off & op->imm);
                else if (a.root != ROOT_NONE && op->has_imm && op->imm < 0 && op->imm >= -64)
                        v = a;
                else
                        v = value_any();
                break;
        }
        if (mem)
                run_store(s, at, op->width, op->width == 8 || at.root == ROOT_STACK ? v : value_any());
        else
                set_reg(r, s, op, v);
}

/* Old code chooses one of two members of an object without a branch. As values they melt into a step, since
 * paths that meet do; which two they are is noted. */
static void note_choice(Run *r, Value a, Value b) {
        Value both = { a.root, (uint32_t)value_distance(a.off, b.off), MIN(a.off, b.off), 0 };

        if (r->side != SIDE_OLD || a.root != b.root || a.root < ROOT_FIRST ||
            a.root == (uint32_t)VALUE_UNSET || a.stride || b.stride || a.off == b.off ||
            value_distance(a.off, b.off) > MAX_CHOICE)
                return;
        for (size_t i = 0; i < r->choices.n; i++)
                if (value_equal(r->choices.items[i], both))
                        return;
        vec_push(&r->choices, both);
}

static bool of_image(const Run *r, Value v) {
        return v.root >= ROOT_FIRST && v.root != (uint32_t)VALUE_UNSET &&
               r->w->nodes[v.root].kind == NODE_GLOBAL;
}

/* Of what is compared the first register; the second operand where that alone is an address of the image (of
 * two, the second is where a walk along the first ends). */
static Value compared(Run *r, const State *s, const Op *op) {
        Value second = op->src >= 0 ? s->reg[op->src] : op->has_imm ? run_imm(r, op) : value_any();
        Value first = op->dst >= 0 && !(op->has_mem && op->mem_first) ? s->reg[op->dst] : value_any();

        if (r->record && of_image(r, first) && of_image(r, second))
                vec_push(&r->ends, (WalkEnd){ values_canonical(r->w, r->side, first),
                                              values_canonical(r->w, r->side, second) });
        return of_image(r, second) && !of_image(r, first) ? second : first;
}

/* One instruction. Returns false when control does not go on to the next one. */
bool run_step(Run *r, State *s, const Op *op) {
        Value at = value_any(), v;

        if (op->has_mem) {
                at = run_address(r, s, op);
                if (op->kind != OP_LEA)
                        record_access(r, at, op->width, op->class, op->flags);
        }
        switch ((OpKind)op->kind) {
        case OP_NOP:
                return true;
        case OP_MOV:
                if (op->has_mem && op->mem_first) {
                        v = op->src >= 0 ? s->reg[op->src] : op->has_imm ? run_imm(r, op) : value_any();
                        run_store(s, at, op->width, v);
                        record_value(r, v);
                        record_store(r, at, op->width, v);
                } else {
                        set_reg(r, s, op, source(r, s, op, at));
                }
                return true;
        case OP_LEA:
                set_reg(r, s, op, at);
                return true;
        case OP_ADD:
        case OP_SUB:
        case OP_SHL:
        case OP_IMUL:
        case OP_AND:
                arithmetic(r, s, op, at);
                return true;
        case OP_ZERO:
                set_reg(r, s, op, value_const(0));
                return true;
        case OP_CMOV:
                if (op->dst >= 0) {
                        v = source(r, s, op, at);
                        note_choice(r, s->reg[op->dst], v);
                        set_reg(r, s, op, run_join(r, s->reg[op->dst], v));
                }
                return true;
        case OP_XCHG:
                if (op->has_mem) {
                        run_store(s, at, op->width, value_any());
                        if (op->dst >= 0)
                                s->reg[op->dst] = value_any();
                        if (op->src >= 0)
                                s->reg[op->src] = value_any();
                } else if (op->dst >= 0 && op->src >= 0) {
                        v = s->reg[op->dst];
                        s->reg[op->dst] = s->reg[op->src];
                        s->reg[op->src] = v;
                }
                return true;
        case OP_PUSH:
                v = op->has_mem    ? run_load(r, s, at, op->width)
                    : op->dst >= 0 ? s->reg[op->dst]
                                   : value_const(op->imm);
                s->reg[RSP].off -= 8;
                run_store(s, s->reg[RSP], 8, v);
                return true;
        case OP_POP:
                v = run_load_stack(r, s, s->reg[RSP], 8);
                s->reg[RSP].off += 8;
                if (op->has_mem)
                        run_store(s, at, 8, v);
                else
                        set_reg(r, s, op, v);
                return true;
        case OP_LEAVE:
                s->reg[RSP] = s->reg[RBP].root == ROOT_STACK ? s->reg[RBP] : (Value){ ROOT_STACK, 1, 0, 0 };
                s->reg[RBP] = run_load_stack(r, s, s->reg[RSP], 8);
                s->reg[RSP].off += 8;
                return true;
        case OP_CALL:
                return run_call(r, s, op, at, false);
        case OP_CMP:
                record_value(r, compared(r, s, op));
                return true;
        case OP_STRING:
                string_op(r, s, op);
                return true;
        case OP_JMP:
        case OP_JCC:
                return true;
        case OP_RET:
                r->result = run_join(r, r->result, values_canonical(r->w, r->side, s->reg[RAX]));
                return false;
        case OP_STOP:
                return false;
        case OP_OTHER:
                if (op->mnemonic == ZYDIS_MNEMONIC_OR && op->has_imm && op->imm == -1 && !op->has_mem &&
                    op->size == 8) {
                        set_reg(r, s, op,
                                value_const(-1)); /* what compilers write for -1 when it is to be short */
                        return true;
                }
                break;
        }
        if (op->has_mem && (op->flags & ACCESS_WRITE) && at.root == ROOT_STACK && !at.stride)
                state_slots_kill(s, at.off, op->width ? op->width : 8);
        for (int i = 0; i < 16; i++)
                if (i != RSP && (op->writes & (1u << i)))
                        s->reg[i] = value_any();
        return true;
}

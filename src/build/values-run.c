/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "build/values.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11 };
enum { MAX_SLOTS = 192, WIDEN_AFTER = 64, MAX_TABLE = 4096, ESCAPE_SPAN = 4096, SUMMARY_INSNS = 24, SUMMARY_DEPTH = 3, NO_BLOCK = -1 };

static const uint8_t arg_regs[VALUES_MAX_ARGS] = { RDI, RSI, RDX, RCX, R8, R9 };

typedef struct Slot {
        int64_t off;
        uint32_t width;
        Value v;
} Slot;

typedef struct State {
        Value reg[16];
        Slot *slots; /* sorted by off, not overlapping */
        uint32_t n, room;
} State;

typedef struct Block {
        uint32_t first, end;
        State in, next; /* next: while narrowing */
        bool reached, queued, has_next;
        uint16_t visits;
} Block;

typedef struct Escape {
        int64_t off;
        uint32_t root; /* NODE_OUT */
} Escape;

typedef struct Run {
        Values *w;
        Side side;
        const Code *code;
        const Function *f;
        Op *ops;
        uint32_t n_ops;
        int32_t *block_of; /* per op that starts a block; else NO_BLOCK */
        Block *blocks;
        uint32_t n_blocks;
        VEC(uint32_t) work;
        VEC(Escape) escapes;
        State orphan; /* what blocks that no known path reaches start with */
        bool has_orphan, collect, record, narrow;
        VEC(Access) accesses;
        VEC(CallSite) calls;
        VEC(JumpTable) tables;
        VEC(Store) stores;
        Value result;
        Value *op_value;
        uint32_t op;
        uint64_t table; /* where the table begins that the last memory operand indexes; 0: none */
} Run;

/* ---- state ---- */

static void state_copy(State *to, const State *from) {
        memcpy(to->reg, from->reg, sizeof(to->reg));
        if (to->room < from->n) {
                to->room = from->n + 8;
                to->slots = vec_grow(to->slots, to->room, sizeof(Slot));
        }
        if (from->n)
                memcpy(to->slots, from->slots, from->n * sizeof(Slot));
        to->n = from->n;
}

static uint32_t slot_at(const State *s, int64_t off) {
        uint32_t lo = 0, hi = s->n;

        while (lo < hi) {
                uint32_t mid = (lo + hi) / 2;

                if (s->slots[mid].off + (int64_t)s->slots[mid].width <= off)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

static void slots_kill(State *s, int64_t off, uint32_t width) {
        uint32_t i = slot_at(s, off), j = i;

        while (j < s->n && s->slots[j].off < off + (int64_t)width)
                j++;
        if (j > i) {
                memmove(&s->slots[i], &s->slots[j], (s->n - j) * sizeof(Slot));
                s->n -= j - i;
        }
}

static void slot_set(State *s, int64_t off, uint32_t width, Value v) {
        uint32_t i;

        slots_kill(s, off, width);
        if (s->n >= MAX_SLOTS)
                return;
        if (s->n == s->room) {
                s->room = s->room ? s->room * 2 : 16;
                s->slots = vec_grow(s->slots, s->room, sizeof(Slot));
        }
        i = slot_at(s, off);
        memmove(&s->slots[i + 1], &s->slots[i], (s->n - i) * sizeof(Slot));
        s->slots[i] = (Slot){ off, width, v };
        s->n++;
}

static Value join(Run *r, Value a, Value b) {
        if (a.root != b.root && a.root != (uint32_t)VALUE_UNSET && b.root != (uint32_t)VALUE_UNSET && a.root != ROOT_NONE &&
            b.root != ROOT_NONE) {
                a = values_canonical(r->w, r->side, a);
                b = values_canonical(r->w, r->side, b);
        }
        return value_join(r->w, a, b);
}

static bool state_join(Run *r, State *to, const State *from, bool widen) {
        bool changed = false;
        uint32_t k = 0, i = 0, j = 0;

        for (int x = 0; x < 16; x++) {
                Value v = join(r, to->reg[x], from->reg[x]);

                if (value_equal(v, to->reg[x]))
                        continue;
                to->reg[x] = widen ? (x == RSP ? (Value){ ROOT_STACK, 1, 0 } : value_any()) : v;
                changed = changed || !value_equal(v, to->reg[x]) || !widen;
        }
        while (i < to->n) {
                Slot *s = &to->slots[i];

                while (j < from->n && from->slots[j].off < s->off)
                        j++;
                if (j < from->n && from->slots[j].off == s->off && from->slots[j].width == s->width) {
                        Value v = join(r, s->v, from->slots[j].v);

                        if (!value_equal(v, s->v)) {
                                s->v = widen ? value_any() : v;
                                changed = true;
                        }
                        to->slots[k++] = *s;
                } else {
                        changed = true;
                }
                i++;
        }
        to->n = k;
        return changed;
}

/* ---- memory ---- */

static Value global(Run *r, uint64_t addr) {
        return (Value){ node_make(r->w, &(Node){ .kind = NODE_GLOBAL, .off = (int64_t)addr }), 0, 0 };
}

static bool looks_like_address(const Run *r, int64_t v) {
        const Image *image = r->code->image;

        return image->type == ET_EXEC && (uint64_t)v >= image->lo && (uint64_t)v < image->hi && v > 4096 &&
               image_section_at(image, (uint64_t)v);
}

static bool own_global(const Run *r, Value v, uint64_t *addr) {
        const Node *n = &r->w->nodes[v.root];

        if (v.root < ROOT_FIRST || n->kind != NODE_GLOBAL)
                return false;
        *addr = (uint64_t)(n->off + v.off);
        return true;
}

static Value imm_value(Run *r, const Op *op) {
        return looks_like_address(r, op->imm) && op->size >= 4 ? global(r, (uint64_t)op->imm) : value_const(op->imm);
}

static Value address(Run *r, const State *s, const Op *op) {
        Value v = value_const(0);

        r->table = 0;
        if (op->rip) {
                v = global(r, (uint64_t)op->disp);
        } else {
                if (op->base >= 0 && op->base == op->index) {
                        v = value_scale(s->reg[op->base], 1 + op->scale);
                } else {
                        if (op->base >= 0)
                                v = s->reg[op->base];
                        if (op->index >= 0 && own_global(r, v, &r->table))
                                r->table += (uint64_t)op->disp;
                        if (op->index >= 0)
                                v = value_add(r->w, v, value_scale(s->reg[op->index], op->scale));
                }
                if (op->index >= 0 && op->base < 0)
                        r->table = (uint64_t)op->disp;
                if (looks_like_address(r, op->disp))
                        v = value_add(r->w, global(r, (uint64_t)op->disp), v);
                else
                        v = value_add(r->w, v, value_const(op->disp));
        }
        if (!op->thread)
                return v;
        v = values_canonical(r->w, r->side, v);
        if (v.root == ROOT_NONE)
                return (Value){ ROOT_THREAD, v.stride, v.off };
        return (Value){ node_make(r->w, &(Node){ .kind = NODE_LOAD, .a = ROOT_THREAD, .b = v.root }), v.stride, v.off };
}

static bool read_only(const Image *image, uint64_t addr) {
        const ImageSection *s = image_section_at(image, addr);

        return s && !(s->flags & SHF_WRITE);
}

/* What a slot of the GOT holds: the address of a symbol or of a variable of this image. */
static bool got_value(Run *r, uint64_t addr, Value *out) {
        const Image *image = r->code->image;
        const ImageSection *s = image_section_at(image, addr);
        const ImageReloc *rel;
        const ImageSymbol *sym;

        if (!s || strncmp(s->name, ".got", 4) != 0 || !(rel = image_reloc_at(image, addr)))
                return false;
        if (rel->type == R_X86_64_RELATIVE) {
                *out = global(r, (uint64_t)rel->addend);
                return true;
        }
        if (!rel->symbol || rel->symbol >= image->n_dynsyms) {
                if (rel->type != R_X86_64_TPOFF64)
                        return false;
                *out = (Value){ node_make(r->w, &(Node){ .kind = NODE_SYMBOL, .a = 1, .off = rel->addend }), 0, 0 };
                return true;
        }
        sym = &image->dynsyms[rel->symbol];
        if (rel->type == R_X86_64_TPOFF64 || (!sym->defined && sym->type != STT_FUNC && sym->type != STT_NOTYPE && sym->type != STT_GNU_IFUNC))
                *out = (Value){ node_make(r->w, &(Node){ .kind = NODE_SYMBOL, .off = values_node(r->w, values_symbol_root(r->w, sym->name))->off }), 0, 0 };
        else if (sym->defined)
                *out = global(r, sym->addr);
        else
                *out = (Value){ values_symbol_root(r->w, sym->name), 0, 0 };
        return true;
}

static Value load_stack(Run *r, const State *s, Value at, uint32_t width) {
        const Escape *best = NULL;
        uint32_t i;

        if (at.stride)
                return value_any();
        i = slot_at(s, at.off);
        if (i < s->n && s->slots[i].off < at.off + (int64_t)width)
                return s->slots[i].off == at.off && s->slots[i].width >= width ? s->slots[i].v : value_any();
        if (width != 8)
                return value_any();
        if (at.off >= 8)
                return (Value){ values_param(r->w, (unsigned)MIN((at.off - 8) / 8 + 6, 200)), 0, 0 };
        for (size_t k = 0; k < r->escapes.n; k++) {
                const Escape *e = &r->escapes.items[k];

                if (e->off <= at.off && at.off - e->off < ESCAPE_SPAN && (!best || e->off > best->off))
                        best = e;
        }
        if (!best || r->w->nodes[best->root].depth >= NODE_MAX_DEPTH)
                return value_any();
        return (Value){ node_make(r->w, &(Node){ .kind = NODE_LOAD, .a = best->root, .off = at.off - best->off }), 0, 0 };
}

static Value load(Run *r, const State *s, Value at, uint32_t width) {
        uint64_t addr;
        Value v;

        if (at.root == ROOT_STACK)
                return load_stack(r, s, at, width);
        if (own_global(r, at, &addr)) {
                if (width == 8 && !at.stride && got_value(r, addr, &v))
                        return v;
                if (width == 4 && r->table && read_only(r->code->image, r->table))
                        return (Value){ node_make(r->w, &(Node){ .kind = NODE_TABLE, .off = (int64_t)r->table }), 0, 0 };
        }
        at = values_canonical(r->w, r->side, at);
        if (width != 8 || at.root == ROOT_NONE)
                return value_any();
        if (at.root == ROOT_CONFLICT)
                return (Value){ ROOT_CONFLICT, 0, 0 };
        if (at.root == ROOT_THREAD && at.off == 0 && at.stride == 0)
                return (Value){ ROOT_THREAD, 0, 0 };
        if (r->w->nodes[at.root].kind == NODE_JOIN) {
                const Value *members = r->w->nodes[at.root].members;
                size_t n = r->w->nodes[at.root].n_members;

                v.root = (uint32_t)VALUE_UNSET;
                for (size_t i = 0; i < n; i++) {
                        Value m = members[i];

                        m.off += at.off;
                        m.stride = m.stride && at.stride ? 1 : m.stride | at.stride;
                        v = value_join(r->w, v, load(r, s, m, width));
                }
                return v;
        }
        if (r->w->nodes[at.root].depth >= NODE_MAX_DEPTH)
                return value_any();
        return (Value){ node_make(r->w, &(Node){ .kind = NODE_LOAD, .a = at.root, .off = at.off, .stride = at.stride }), 0, 0 };
}

static void store(State *s, Value at, uint32_t width, Value v) {
        if (at.root != ROOT_STACK || at.stride)
                return;
        if (width == 8 || width == 4)
                slot_set(s, at.off, width, v);
        else
                slots_kill(s, at.off, width);
}

/* ---- recording ---- */

static void record_place(Run *r, Value at, uint32_t width, uint8_t class, uint8_t flags) {
        const Op *op = &r->ops[r->op];
        const Node *n = &r->w->nodes[at.root];

        if (at.root >= ROOT_FIRST && n->kind == NODE_JOIN) {
                uint16_t members = n->n_members;
                const Value *set = n->members;

                for (uint16_t i = 0; i < members; i++) {
                        Value m = set[i];

                        m.off += at.off;
                        m.stride = m.stride && at.stride ? 1 : m.stride | at.stride;
                        record_place(r, m, width, class, flags);
                }
                return;
        }
        if (at.root >= ROOT_FIRST && n->kind == NODE_SUM && r->side == SIDE_OLD) {
                uint32_t a = n->a, b = n->b;

                vec_push(&r->accesses, (Access){ { a, 1, at.off }, (uint16_t)MIN(width, UINT16_MAX), class, flags, op->insn, r->op });
                vec_push(&r->accesses, (Access){ { b, 1, at.off }, (uint16_t)MIN(width, UINT16_MAX), class, flags, op->insn, r->op });
        }
        vec_push(&r->accesses, (Access){ at, (uint16_t)MIN(width, UINT16_MAX), class, flags, op->insn, r->op });
}

static void record_access(Run *r, Value at, uint32_t width, uint8_t class, uint8_t flags) {
        if (!r->record || !flags || at.root == ROOT_STACK || width == 0)
                return;
        if (at.root == ROOT_THREAD && at.stride == 0 && (at.off == 0x28 || at.off == 0))
                return;
        record_place(r, values_canonical(r->w, r->side, at), width, class, flags);
}

/* What the old code gives to a function that walks through bytes holds bytes. */
static void record_strings(Run *r, const CallSite *c) {
        const Known *known = r->w->nodes[c->callee].known;

        if (r->side != SIDE_OLD || !known)
                return;
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                if ((known->strings & (1u << i)) && c->args[i].root != ROOT_NONE && c->args[i].root != ROOT_STACK)
                        record_place(r, (Value){ c->args[i].root, 1, c->args[i].off }, 1, CLASS_INT, ACCESS_READ);
}

static void record_value(Run *r, Value v) {
        if (r->record)
                r->op_value[r->op] = values_canonical(r->w, r->side, v);
}

static void record_store(Run *r, Value at, uint32_t width, Value v) {
        Store x;

        if (!r->record || width != 8 || at.root == ROOT_STACK || at.root == ROOT_NONE || v.root == ROOT_NONE || v.root == ROOT_STACK)
                return;
        x = (Store){ values_canonical(r->w, r->side, at), values_canonical(r->w, r->side, v) };
        if (x.value.root >= ROOT_FIRST && r->w->nodes[x.value.root].kind != NODE_FUNCTION)
                vec_push(&r->stores, x);
}

/* ---- instructions ---- */

static void set_reg(Run *r, State *s, const Op *op, Value v) {
        if (op->dst < 0)
                return;
        if (op->size < 4)
                v = value_any();
        if (op->dst == RSP && v.root != ROOT_STACK)
                v = (Value){ ROOT_STACK, 1, 0 };
        s->reg[op->dst] = v;
        record_value(r, v);
}

static Value source(Run *r, State *s, const Op *op, Value at) {
        Value v;

        if (op->has_mem && !op->mem_first)
                v = load(r, s, at, op->width);
        else if (op->src >= 0)
                v = s->reg[op->src];
        else
                v = imm_value(r, op);
        if (op->narrow && op->src >= 0)
                v = value_any();
        return v;
}

static void note_escapes(Run *r, const State *s, uint32_t callee) {
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++) {
                Value v = s->reg[arg_regs[i]];
                bool known = false;

                if (v.root != ROOT_STACK || v.stride)
                        continue;
                for (size_t k = 0; k < r->escapes.n && !known; k++)
                        known = r->escapes.items[k].off == v.off;
                if (!known)
                        vec_push(&r->escapes, (Escape){ v.off, node_make(r->w, &(Node){ .kind = NODE_OUT, .a = callee, .off = i }) });
        }
}

/* A small function of the image that returns what it was given, or what hangs on that. */
static bool summary(Run *r, const State *s, uint32_t target, Value *out) {
        const FnValues *f;
        Value args[VALUES_MAX_ARGS];

        if (target == NO_TARGET || r->code->functions[target].n_insns > SUMMARY_INSNS || r->w->depth >= SUMMARY_DEPTH)
                return false;
        r->w->depth++;
        f = values_of(r->w, r->side, target);
        r->w->depth--;
        if (f->incomplete || f->result.root < ROOT_FIRST || !values_has_param(r->w, f->result.root, NULL))
                return false;
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                args[i] = values_canonical(r->w, r->side, s->reg[arg_regs[i]]);
        return values_to_caller(r->w, f->result, args, out);
}

static Value call_result(Run *r, const State *s, uint32_t callee, uint32_t target) {
        const Known *known = r->w->nodes[callee].kind == NODE_FUNCTION ? r->w->nodes[callee].known : NULL;
        Value first = values_canonical(r->w, r->side, s->reg[RDI]), given;

        if (callee == ROOT_NONE)
                return value_any();
        if (known && (known->flags & KNOWN_SAME))
                return s->reg[RDI];
        if (known && (known->flags & KNOWN_FRESH)) {
                int64_t size = 0;

                for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                        if ((known->sizes & (1u << i)) && value_is_const(s->reg[arg_regs[i]]))
                                size = size * 4099 + s->reg[arg_regs[i]].off;
                return (Value){ node_make(r->w, &(Node){ .kind = NODE_FRESH, .a = callee, .off = size }), 0, 0 };
        }
        if (summary(r, s, target, &given))
                return given;
        if (first.root == ROOT_STACK || first.root == ROOT_CONFLICT || r->w->nodes[first.root].depth >= NODE_MAX_DEPTH - 1 ||
            r->w->nodes[first.root].kind == NODE_JOIN || (known && (known->flags & KNOWN_NOARGS)))
                first.root = ROOT_NONE;
        if (r->w->nodes[callee].depth >= NODE_MAX_DEPTH)
                return value_any();
        return (Value){ node_make(r->w, &(Node){ .kind = NODE_RETURN, .a = callee, .b = first.root }), 0, 0 };
}

/* The caller-saved registers that a call changes: all, unless what follows shows that the compiler
 * knew better of a function of its own unit. */
static uint16_t changed_by(Run *r, uint32_t target) {
        uint16_t written = 1u << RAX | 1u << RDX;

        if (target == NO_TARGET)
                return CALLER_SAVED;
        for (uint32_t i = r->op + 1; i < r->n_ops && i < r->op + 32; i++) {
                const Op *op = &r->ops[i];

                if (op->reads & CALLER_SAVED & ~written & (op->kind == OP_PUSH ? 0 : 0xffff))
                        return values_clobbers(r->w, r->side, target);
                if (op->kind == OP_CALL || op->kind == OP_RET || op->kind == OP_STOP)
                        break;
                written |= op->writes;
        }
        return CALLER_SAVED;
}

/* A call (or a tail call); false when it does not return. */
static bool call(Run *r, State *s, const Op *op, Value at, bool tail) {
        uint32_t target = NO_TARGET, callee = ROOT_NONE;
        const Known *known;
        uint16_t changed;
        Value result;

        if (op->target) {
                callee = values_callee_at(r->w, r->side, op->target, &target);
        } else {
                Value v = values_canonical(r->w, r->side, op->has_mem ? load(r, s, at, 8) : op->dst >= 0 ? s->reg[op->dst] : value_any());

                callee = v.root == ROOT_CONFLICT ? ROOT_NONE : v.root;
                if (callee >= ROOT_FIRST && r->w->nodes[callee].kind == NODE_FUNCTION && v.off == 0) {
                        int64_t key = r->w->nodes[callee].off;

                        if (!(key & SYMBOL_FUNCTION) && r->side == SIDE_OLD)
                                target = (uint32_t)key;
                }
        }
        if (r->record) {
                CallSite c = { .insn = op->insn, .op = r->op, .callee = callee, .target = target, .tail = tail };

                for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                        c.args[i] = values_canonical(r->w, r->side, s->reg[arg_regs[i]]);
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
        result = call_result(r, s, callee, target);
        known = callee >= ROOT_FIRST && r->w->nodes[callee].kind == NODE_FUNCTION ? r->w->nodes[callee].known : NULL;
        if (r->record)
                r->calls.items[r->calls.n - 1].result = values_canonical(r->w, r->side, result);
        changed = changed_by(r, target) | (1u << RAX);
        for (int i = 0; i < 16; i++)
                if (changed & (1u << i))
                        s->reg[i] = value_any();
        for (size_t k = 0; k < r->escapes.n; k++)
                slots_kill(s, r->escapes.items[k].off, 8);
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

        for (int i = 0; i < (two ? 2 : 1); i++) {
                int reg = i == 0 ? RDI : RSI;
                Value at = s->reg[reg];
                uint8_t flags = i == 0 && !compare ? ACCESS_WRITE : ACCESS_READ;

                if (exact)
                        record_access(r, at, (uint32_t)count.off * w, CLASS_VECTOR, flags);
                else
                        record_access(r, value_add(r->w, at, (Value){ ROOT_NONE, repeated ? w : 0, 0 }), w, CLASS_INT, flags);
                if (at.root == ROOT_STACK && at.stride == 0 && exact && i == 0)
                        slots_kill(s, at.off, (uint32_t)count.off * w);
                s->reg[reg] = value_add(r->w, at, (Value){ ROOT_NONE, w, 0 });
        }
        if (repeated)
                s->reg[RCX] = compare ? value_any() : value_const(0);
}

static Value stack_aligned(Value v) {
        /* how far it moves is not known: a region of its own keeps the slots apart */
        return (Value){ ROOT_STACK, v.stride, (v.off & ~INT64_C(63)) - 0x100000 };
}

static void arithmetic(Run *r, State *s, const Op *op, Value at) {
        bool mem = op->has_mem && op->mem_first;
        Value a = mem ? load(r, s, at, op->width) : op->dst >= 0 ? s->reg[op->dst] : value_any();
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
                v = op->has_imm && op->imm >= 0 && op->imm < 24 ? value_scale(a, INT64_C(1) << op->imm) : value_any();
                break;
        case OP_IMUL:
                if (op->has_imm)
                        v = value_scale(op->has_mem ? load(r, s, at, op->width) : op->src >= 0 ? s->reg[op->src] : a, op->imm);
                else
                        v = value_any();
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
                store(s, at, op->width, op->width == 8 || at.root == ROOT_STACK ? v : value_any());
        else
                set_reg(r, s, op, v);
}

/* One instruction. Returns false when control does not go on to the next one. */
static bool step(Run *r, State *s, const Op *op) {
        Value at = value_any(), v;

        if (op->has_mem) {
                at = address(r, s, op);
                if (op->kind != OP_LEA)
                        record_access(r, at, op->width, op->class, op->flags);
        }
        switch ((OpKind)op->kind) {
        case OP_NOP:
                return true;
        case OP_MOV:
                if (op->has_mem && op->mem_first) {
                        v = op->src >= 0 ? s->reg[op->src] : op->has_imm ? imm_value(r, op) : value_any();
                        store(s, at, op->width, v);
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
                if (op->dst >= 0)
                        set_reg(r, s, op, join(r, s->reg[op->dst], source(r, s, op, at)));
                return true;
        case OP_XCHG:
                if (op->has_mem) {
                        store(s, at, op->width, value_any());
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
                v = op->has_mem ? load(r, s, at, op->width) : op->dst >= 0 ? s->reg[op->dst] : value_const(op->imm);
                s->reg[RSP].off -= 8;
                store(s, s->reg[RSP], 8, v);
                return true;
        case OP_POP:
                v = load_stack(r, s, s->reg[RSP], 8);
                s->reg[RSP].off += 8;
                if (op->has_mem)
                        store(s, at, 8, v);
                else
                        set_reg(r, s, op, v);
                return true;
        case OP_LEAVE:
                s->reg[RSP] = s->reg[RBP].root == ROOT_STACK ? s->reg[RBP] : (Value){ ROOT_STACK, 1, 0 };
                s->reg[RBP] = load_stack(r, s, s->reg[RSP], 8);
                s->reg[RSP].off += 8;
                return true;
        case OP_CALL:
                return call(r, s, op, at, false);
        case OP_CMP:
                record_value(r, op->has_mem ? at : op->dst >= 0 ? s->reg[op->dst] : value_any());
                return true;
        case OP_STRING:
                string_op(r, s, op);
                return true;
        case OP_JMP:
        case OP_JCC:
                return true;
        case OP_RET:
                r->result = join(r, r->result, values_canonical(r->w, r->side, s->reg[RAX]));
                return false;
        case OP_STOP:
                return false;
        case OP_OTHER:
                break;
        }
        if (op->has_mem && (op->flags & ACCESS_WRITE) && at.root == ROOT_STACK && !at.stride)
                slots_kill(s, at.off, op->width ? op->width : 8);
        for (int i = 0; i < 16; i++)
                if (i != RSP && (op->writes & (1u << i)))
                        s->reg[i] = value_any();
        return true;
}

/* ---- control flow ---- */

static int64_t op_at(const Run *r, uint64_t addr) {
        uint32_t first = 0;

        for (uint32_t p = 0; p < r->f->n_parts; p++) {
                const CodePart *part = &r->code->parts[r->f->parts[p]];
                uint32_t lo = first, hi = first + part->n_insns;

                if (addr >= part->addr && addr < part->addr + part->size) {
                        while (lo < hi) {
                                uint32_t mid = (lo + hi) / 2;

                                if (r->ops[mid].addr == addr)
                                        return mid;
                                if (r->ops[mid].addr < addr)
                                        lo = mid + 1;
                                else
                                        hi = mid;
                        }
                        return -1;
                }
                first = hi;
        }
        return -1;
}

static void flow(Run *r, int64_t op, const State *s) {
        Block *b;

        if (r->record || op < 0 || op >= (int64_t)r->n_ops || r->block_of[op] == NO_BLOCK)
                return;
        b = &r->blocks[r->block_of[op]];
        if (r->narrow) {
                if (b->has_next)
                        state_join(r, &b->next, s, false);
                else
                        state_copy(&b->next, s);
                b->has_next = true;
                return;
        }
        if (!b->reached) {
                state_copy(&b->in, s);
                b->reached = true;
        } else if (!state_join(r, &b->in, s, b->visits > WIDEN_AFTER)) {
                return;
        }
        if (!b->queued) {
                b->queued = true;
                vec_push(&r->work, (uint32_t)r->block_of[op]);
        }
}

/* The k-th target of the jump table that an indirect jump goes through; -1: no more. */
static int64_t table_target(const Run *r, uint64_t table, bool relative, uint64_t base, unsigned k) {
        const Image *image = r->code->image;
        const uint8_t *bytes = image_bytes(image, table + (uint64_t)k * (relative ? 4 : 8), relative ? 4 : 8);
        uint64_t target = 0;
        int32_t word;

        if (!bytes)
                return -1;
        if (relative) {
                memcpy(&word, bytes, 4);
                target = base + (uint64_t)(int64_t)word;
        } else {
                const ImageReloc *rel = image_reloc_at(image, table + (uint64_t)k * 8);

                memcpy(&target, bytes, 8);
                if (rel && rel->type == R_X86_64_RELATIVE)
                        target = (uint64_t)rel->addend;
        }
        return op_at(r, target);
}

static bool table_flow(Run *r, const State *s, uint64_t table, bool relative, uint64_t base) {
        uint64_t next = code_next_target(r->code, table);
        unsigned k;

        for (k = 0; k < MAX_TABLE; k++) {
                int64_t to;

                if (k && table + (uint64_t)k * (relative ? 4 : 8) >= next)
                        break;
                to = table_target(r, table, relative, base, k);
                if (to < 0)
                        break;
                flow(r, to, s);
        }
        if (k && r->record)
                vec_push(&r->tables, (JumpTable){ r->op, table, base, k, relative });
        return k > 0;
}

static void indirect_jump(Run *r, State *s, const Op *op) {
        Value at = op->has_mem ? address(r, s, op) : op->dst >= 0 ? s->reg[op->dst] : value_any();
        const Node *n = &r->w->nodes[at.root];

        if (op->has_mem && r->table && read_only(r->code->image, r->table)) {
                if (table_flow(r, s, r->table, false, 0))
                        return;
        }
        if (!op->has_mem && at.root >= ROOT_FIRST && n->kind == NODE_TARGET) {
                uint64_t base = (uint64_t)n->off;

                if (table_flow(r, s, (uint64_t)r->w->nodes[n->a].off, true, base))
                        return;
        }
        /* a tail call, or a jump that is not understood: what it may reach starts from here */
        if (r->collect) {
                if (r->has_orphan)
                        state_join(r, &r->orphan, s, false);
                else
                        state_copy(&r->orphan, s);
                r->has_orphan = true;
        }
        call(r, s, op, at, true);
        r->result = join(r, r->result, values_canonical(r->w, r->side, s->reg[RAX]));
}

static void run_block(Run *r, const Block *b, State *s) {
        for (uint32_t i = b->first; i < b->end; i++) {
                const Op *op = &r->ops[i];

                r->op = i;
                if (!step(r, s, op))
                        return;
                if (op->kind == OP_JCC) {
                        int64_t to = op_at(r, op->target);

                        if (to >= 0) {
                                flow(r, to, s);
                        } else if (r->record) {
                                State copy = { 0 };

                                state_copy(&copy, s);
                                call(r, &copy, op, value_any(), true);
                                free(copy.slots);
                        }
                } else if (op->kind == OP_JMP) {
                        int64_t to = op->target ? op_at(r, op->target) : -1;

                        if (to >= 0) {
                                flow(r, to, s);
                        } else if (op->target) {
                                call(r, s, op, value_any(), true);
                                r->result = join(r, r->result, values_canonical(r->w, r->side, s->reg[RAX]));
                        } else {
                                indirect_jump(r, s, op);
                        }
                        return;
                }
        }
        flow(r, b->end, s);
}

static void fixpoint(Run *r, State *scratch) {
        while (r->work.n) {
                uint32_t at = 0, index;

                /* the lowest block first: near enough to reverse postorder in compiled code */
                for (size_t i = 1; i < r->work.n; i++)
                        if (r->work.items[i] < r->work.items[at])
                                at = (uint32_t)i;
                index = r->work.items[at];
                r->work.items[at] = r->work.items[--r->work.n];
                r->blocks[index].queued = false;
                r->blocks[index].visits++;
                state_copy(scratch, &r->blocks[index].in);
                run_block(r, &r->blocks[index], scratch);
        }
}

/*
 * What a first visit said before all paths were known stays in the states that come after, where
 * joining cannot take it back. So once all is stable each block's state is made anew from those of
 * its predecessors, and then brought to a fixpoint again.
 */
static void narrow(Run *r, const State *start, State *scratch) {
        r->narrow = true;
        flow(r, 0, start);
        for (uint32_t i = 0; i < r->n_blocks; i++) {
                if (!r->blocks[i].reached)
                        continue;
                state_copy(scratch, &r->blocks[i].in);
                run_block(r, &r->blocks[i], scratch);
        }
        r->narrow = false;
        for (uint32_t i = 0; i < r->n_blocks; i++) {
                Block *b = &r->blocks[i];

                if (!b->has_next)
                        continue;
                state_copy(&b->in, &b->next);
                b->has_next = false;
                b->visits = 0;
                if (!b->queued)
                        vec_push(&r->work, i);
                b->queued = true;
        }
        fixpoint(r, scratch);
}

static void find_blocks(Run *r) {
        bool *leader = calloc(r->n_ops + 1, 1);
        uint32_t first = 0;

        if (!leader)
                abort();
        leader[0] = true;
        for (uint32_t p = 0; p < r->f->n_parts; p++) {
                leader[first] = true;
                first += r->code->parts[r->f->parts[p]].n_insns;
        }
        for (uint32_t i = 0; i < r->n_ops; i++) {
                const Op *op = &r->ops[i];
                int64_t to;

                if (op->kind == OP_JCC || op->kind == OP_JMP || op->kind == OP_RET || op->kind == OP_STOP)
                        leader[i + 1] = true;
                /* after a call a block may begin at a landing pad or behind a call that never returns */
                if (op->kind == OP_CALL && r->f->has_lsda)
                        leader[i + 1] = true;
                if (op->target && op->kind != OP_CALL && (to = op_at(r, op->target)) >= 0)
                        leader[to] = true;
        }
        /* targets of jump tables are found while it runs: a block may start at any aligned table entry */
        if (r->f->has_indirect_jump)
                for (size_t i = 0; i < r->f->n_refs; i++) {
                        const Ref *ref = &r->code->refs[r->f->ref + i];

                        if (ref->kind != REF_PCREL && ref->kind != REF_ABS32)
                                continue;
                        for (unsigned k = 0; k < MAX_TABLE; k++) {
                                int64_t to = table_target(r, ref->target, true, ref->target, k);

                                if (to < 0)
                                        break;
                                leader[to] = true;
                        }
                        for (unsigned k = 0; k < MAX_TABLE; k++) {
                                int64_t to = table_target(r, ref->target, false, 0, k);

                                if (to < 0)
                                        break;
                                leader[to] = true;
                        }
                }
        for (uint32_t i = 0; i < r->n_ops; i++) {
                r->block_of[i] = NO_BLOCK;
                r->n_blocks += leader[i];
        }
        r->blocks = calloc(r->n_blocks + 1, sizeof(Block));
        if (!r->blocks)
                abort();
        r->n_blocks = 0;
        for (uint32_t i = 0; i < r->n_ops; i++) {
                if (leader[i]) {
                        if (r->n_blocks)
                                r->blocks[r->n_blocks - 1].end = i;
                        r->block_of[i] = (int32_t)r->n_blocks;
                        r->blocks[r->n_blocks++].first = i;
                }
        }
        if (r->n_blocks)
                r->blocks[r->n_blocks - 1].end = r->n_ops;
        free(leader);
}

static bool only_padding(const Run *r, const Block *b) {
        for (uint32_t i = b->first; i < b->end; i++)
                if (r->ops[i].kind != OP_NOP && r->ops[i].kind != OP_STOP)
                        return false;
        return true;
}

/* Landing pads and the targets of jumps that were not understood. */
static void run_orphans(Run *r, State *scratch) {
        bool collected = false;

        for (uint32_t i = 0; i < r->n_blocks; i++) {
                if (r->blocks[i].reached || only_padding(r, &r->blocks[i]))
                        continue;
                if (!collected) {
                        r->collect = true;
                        for (uint32_t k = 0; k < r->n_blocks; k++) {
                                if (!r->blocks[k].reached)
                                        continue;
                                state_copy(scratch, &r->blocks[k].in);
                                run_block(r, &r->blocks[k], scratch);
                        }
                        r->collect = false;
                        collected = true;
                        if (!r->has_orphan) {
                                for (int x = 0; x < 16; x++)
                                        r->orphan.reg[x] = value_any();
                                r->orphan.reg[RSP] = (Value){ ROOT_STACK, 1, 0 };
                        }
                        for (int x = 0; x < 16; x++)
                                if (CALLER_SAVED & (1u << x))
                                        r->orphan.reg[x] = value_any();
                        fixpoint(r, scratch);
                }
                flow(r, r->blocks[i].first, &r->orphan);
                fixpoint(r, scratch);
        }
}

static int access_compare(const void *x, const void *y) {
        const Access *a = x, *b = y;

        if (a->at.root != b->at.root)
                return a->at.root < b->at.root ? -1 : 1;
        if (a->at.off != b->at.off)
                return a->at.off < b->at.off ? -1 : 1;
        if (a->at.stride != b->at.stride)
                return a->at.stride < b->at.stride ? -1 : 1;
        if (a->width != b->width)
                return a->width < b->width ? -1 : 1;
        return a->class < b->class ? -1 : a->class > b->class;
}

static void finish(Run *r, FnValues *out) {
        Arena *arena = r->w->arena;

        out->ops = arena_dup(arena, r->ops, r->n_ops * sizeof(Op));
        out->n_ops = r->n_ops;
        out->n_accesses = r->accesses.n;
        out->accesses = arena_dup(arena, r->accesses.items, r->accesses.n * sizeof(Access));
        out->places = arena_dup(arena, r->accesses.items, r->accesses.n * sizeof(Access));
        qsort(out->places, out->n_accesses, sizeof(Access), access_compare);
        for (size_t i = 0; i < out->n_accesses; i++) {
                Access *last = out->n_places ? &out->places[out->n_places - 1] : NULL;

                if (last && access_compare(last, &out->places[i]) == 0)
                        last->flags = (uint8_t)((last->flags | out->places[i].flags) & ~ACCESS_CONST) |
                                      (last->flags & out->places[i].flags & ACCESS_CONST);
                else
                        out->places[out->n_places++] = out->places[i];
        }
        out->n_calls = r->calls.n;
        out->calls = arena_dup(arena, r->calls.items, r->calls.n * sizeof(CallSite));
        out->n_stores = r->stores.n;
        out->stores = arena_dup(arena, r->stores.items, r->stores.n * sizeof(Store));
        out->n_tables = r->tables.n;
        out->tables = arena_dup(arena, r->tables.items, r->tables.n * sizeof(JumpTable));
        out->result = r->result.root == (uint32_t)VALUE_UNSET ? value_any() : r->result;
        out->op_value = r->op_value;
}

void values_run(Values *w, Side side, uint32_t function, FnValues *out) {
        const Code *code = values_code(w, side);
        const Function *f = &code->functions[function];
        Run r = { .w = w, .side = side, .code = code, .f = f };
        State start = { 0 }, scratch = { 0 };

        *out = (FnValues){ .code = code, .function = function, .incomplete = true };
        if (f->n_insns > VALUES_MAX_INSNS || values_decode(code, f, &r.ops, &r.n_ops) < 0)
                return;
        out->incomplete = f->undecoded || r.n_ops == 0;
        if (r.n_ops == 0) {
                free(r.ops);
                return;
        }
        r.block_of = vec_grow(NULL, r.n_ops, sizeof(*r.block_of));
        r.op_value = arena_newa(w->arena, Value, r.n_ops);
        for (uint32_t i = 0; i < r.n_ops; i++)
                r.op_value[i].root = (uint32_t)VALUE_UNSET;
        r.result.root = (uint32_t)VALUE_UNSET;
        find_blocks(&r);
        for (int i = 0; i < 16; i++)
                start.reg[i] = value_any();
        start.reg[RSP] = (Value){ ROOT_STACK, 0, 0 };
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                start.reg[arg_regs[i]] = (Value){ values_param(w, i), 0, 0 };
        flow(&r, 0, &start);
        fixpoint(&r, &scratch);
        narrow(&r, &start, &scratch);
        run_orphans(&r, &scratch);
        r.result.root = (uint32_t)VALUE_UNSET;
        r.record = true;
        for (uint32_t i = 0; i < r.n_blocks; i++) {
                if (!r.blocks[i].reached)
                        continue;
                state_copy(&scratch, &r.blocks[i].in);
                run_block(&r, &r.blocks[i], &scratch);
        }
        finish(&r, out);
        for (uint32_t i = 0; i < r.n_blocks; i++)
                free(r.blocks[i].in.slots), free(r.blocks[i].next.slots);
        free(r.blocks);
        free(r.block_of);
        free(r.ops);
        free(scratch.slots);
        free(r.orphan.slots);
        vec_free(&r.work);
        vec_free(&r.escapes);
        vec_free(&r.accesses);
        vec_free(&r.calls);
        vec_free(&r.tables);
        vec_free(&r.stores);
}

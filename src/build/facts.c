/* SPDX-License-Identifier: Apache-2.0 */
#include "build/facts.h"
#include "base/macro.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <string.h>

enum { MAX_NUMBER_SLOTS = 64, MAX_FACTS = 4096, MAX_AHEAD = 16 };

typedef enum NumberKind { NUMBER_NONE, NUMBER_CONST, NUMBER_PLACE, NUMBER_OTHER } NumberKind;

typedef struct Number { /* what a register holds */
        uint64_t from;  /* of a place: which one; else as in Fact */
        int64_t add, factor;
        uint16_t width, done;
        uint8_t kind;
} Number;

typedef struct NumberSlot { /* a place of the stack as instructions name it */
        Number n;
        int64_t disp;
        int8_t base;
} NumberSlot;

typedef struct Flags { /* what the last compare was of; second: a register or memory, else `number` */
        Number first, second;
        int64_t number;
        bool bits, valid;
} Flags;

typedef enum Condition { ASK_NOTHING, ASK_EQUAL, ASK_AT_MOST, ASK_BELOW, ASK_SIGN } Condition;

typedef struct Vector {       /* a constant in a vector register */
        const uint8_t *bytes; /* NULL: zeros */
        uint16_t size;        /* how many; zeros behind them */
        bool known;
} Vector;

/* What registers hold where a branch leads to that lies ahead. */
typedef struct Ahead {
        Number reg[16];
        uint32_t op;
} Ahead;

typedef struct Reader {
        const Values *w;
        const FnValues *f;
        FactList *out;
        size_t first, access, call; /* of this function's facts; of the next op's accesses and call */
        uint32_t match;
        Number reg[16];
        uint16_t fresh; /* registers that were written since the last call, and not read */
        NumberSlot slots[MAX_NUMBER_SLOTS];
        unsigned n_slots;
        Ahead ahead[MAX_AHEAD];
        unsigned n_ahead;
        bool lost;      /* control does not come here from the op before */
        Number counted; /* what was put back into the place where it came from */
        Vector vector[16];
        Flags flags;
} Reader;

static const uint8_t arguments[VALUES_MAX_ARGS] = { 7, 6, 2, 1, 8, 9 };

static uint64_t mix(uint64_t a, uint64_t b) {
        uint64_t h = (a ^ (b << 32 | b >> 32)) * UINT64_C(0x9e3779b97f4a7c15);

        return (h ^ h >> 29) | 4; /* none of FROM_* */
}

uint64_t fact_place(Value at) {
        uint64_t h = at.root == ROOT_IMAGE ? UINT64_C(1) << 62 : 0;

        return at.stride ? h | UINT64_C(1) << 61 | at.stride : h | ((uint64_t)at.off & (UINT64_MAX >> 3));
}

uint64_t fact_returned(uint32_t callee) {
        return mix(callee, 7);
}

bool fact_equal(const Fact *a, const Fact *b) {
        return a->kind == b->kind && a->place == b->place && a->width == b->width && a->from == b->from &&
               a->number == b->number && a->factor == b->factor && a->done == b->done && a->made == b->made &&
               a->equal == b->equal;
}

bool fact_counts(const Fact *f, bool up) {
        return f->kind == FACT_STORE && f->from == mix(f->place, f->width) && !f->done && f->factor == 1 &&
               (up ? f->number > 0 : f->number < 0);
}

static void add_fact(Reader *r, Fact fact) {
        fact.match = r->match;
        if (r->out->n - r->first >= MAX_FACTS)
                return;
        for (size_t i = r->first; i < r->out->n; i++)
                if (fact_equal(&r->out->items[i], &fact))
                        return;
        vec_push(r->out, fact);
}

static Number number_const(int64_t value) {
        return (Number){ .kind = NUMBER_CONST, .add = value, .factor = 1 };
}

static Number number_other(uint64_t from) {
        return (Number){ .kind = NUMBER_OTHER, .from = from, .factor = 1 };
}

static Number number_none(void) {
        return (Number){ .factor = 1 };
}

static uint64_t source_of(const Number *n) {
        switch ((NumberKind)n->kind) {
        case NUMBER_CONST:
                return FROM_NUMBER;
        case NUMBER_PLACE:
                return mix(n->from, n->width);
        case NUMBER_OTHER:
                return n->from;
        case NUMBER_NONE:
                break;
        }
        return FROM_UNKNOWN;
}

static void use(Reader *r, const Number *n, int64_t more) {
        if (n->kind == NUMBER_PLACE)
                add_fact(r, (Fact){ .kind = FACT_USE,
                                    .place = n->from,
                                    .width = n->width,
                                    .number = number_plus(n->add, more),
                                    .factor = n->factor,
                                    .done = n->done });
}

/* Where the op's memory is, when that is one place of an object or a variable. */
static bool place_at(Reader *r, uint32_t i, const Access **out) {
        while (r->access < r->f->n_accesses && r->f->accesses[r->access].op < i)
                r->access++;
        *out = &r->f->accesses[r->access];
        return r->access < r->f->n_accesses && (*out)->op == i && (*out)->at.root != ROOT_NONE &&
               (*out)->at.root != ROOT_CONFLICT && (*out)->at.root != ROOT_STACK;
}

static NumberSlot *slot_of(Reader *r, const Op *op) {
        if (op->index >= 0 || (op->base != 4 && op->base != 5))
                return NULL;
        for (unsigned i = 0; i < r->n_slots; i++)
                if (r->slots[i].base == op->base && r->slots[i].disp == op->disp)
                        return &r->slots[i];
        if (r->n_slots == MAX_NUMBER_SLOTS)
                return NULL;
        r->slots[r->n_slots] = (NumberSlot){ .n = number_none(), .base = op->base, .disp = op->disp };
        return &r->slots[r->n_slots++];
}

static Number load(Reader *r, const Op *op, uint32_t i) {
        const Access *a;
        const uint8_t *b;
        NumberSlot *s;

        if (op->rip && (op->width == 4 || op->width == 8) &&
            place_of(r->f->code, (uint64_t)op->disp).kind == PLACE_CONST &&
            (b = image_bytes(r->f->code->image, (uint64_t)op->disp, op->width))) {
                int64_t value = 0;
                int32_t word;

                memcpy(&word, b, sizeof(word));
                memcpy(&value, b, op->width);
                return number_const(op->width == 4 ? word : value);
        }

        if (place_at(r, i, &a)) {
                Number n = {
                        .kind = NUMBER_PLACE, .from = fact_place(a->at), .width = op->width, .factor = 1
                };

                return r->counted.kind == NUMBER_PLACE && r->counted.from == n.from &&
                                       r->counted.width == n.width
                               ? r->counted
                               : n;
        }
        s = slot_of(r, op);
        return s ? s->n : number_none();
}

static void store(Reader *r, const Op *op, uint32_t i, Number n) {
        const Access *a;
        Fact fact = { .kind = FACT_STORE, .width = op->width, .done = n.done, .factor = n.factor };
        NumberSlot *s;

        if (!place_at(r, i, &a)) {
                s = slot_of(r, op);
                if (s)
                        s->n = n;
                return;
        }
        use(r, &n, 0);
        fact.place = fact_place(a->at);
        if (n.kind == NUMBER_PLACE && n.from == fact.place && n.width == op->width)
                r->counted = n;
        else if (r->counted.from == fact.place)
                r->counted = number_none();
        fact.from = source_of(&n);
        fact.number = n.kind == NUMBER_NONE ? 0 : n.add;
        fact.root = a->at.root;
        fact.made = a->at.root >= ROOT_FIRST && values_node(r->w, a->at.root)->kind == NODE_FRESH;
        add_fact(r, fact);
        if (n.kind == NUMBER_CONST && op->width == 8 && !a->at.stride) { /* two that compilers put together */
                Value next = a->at;

                next.off += 4;
                fact.width = 4;
                fact.number = (int32_t)n.add;
                add_fact(r, fact);
                fact.place = fact_place(next);
                fact.number = (int32_t)(n.add >> 32);
                add_fact(r, fact);
        }
}

static void set(Reader *r, int8_t reg, Number n) {
        if (reg < 0)
                return;
        r->reg[reg] = n;
        r->fresh |= (uint16_t)(1u << reg);
}

static Number operand(Reader *r, const Op *op, uint32_t i) {
        if (op->has_mem && !op->mem_first)
                return load(r, op, i);
        if (op->src >= 0)
                return r->reg[op->src];
        return op->has_imm ? number_const(op->imm) : number_none();
}

static Number sum(Reader *r, Number a, Number b, bool minus) {
        Number out = a;

        if (b.kind == NUMBER_CONST) {
                out.add = minus ? number_minus(out.add, b.add) : number_plus(out.add, b.add);
                return out;
        }
        if (a.kind == NUMBER_CONST && !minus) {
                b.add = number_plus(b.add, a.add);
                return b;
        }
        use(r, &a, 0);
        use(r, &b, 0);
        if (a.kind == NUMBER_NONE || b.kind == NUMBER_NONE)
                return number_none();
        out = number_other(minus ? mix(source_of(&a), ~source_of(&b)) : (source_of(&a) + source_of(&b)) | 4);
        out.add = minus ? number_minus(a.add, b.add) : number_plus(a.add, b.add);
        out.done = a.done | b.done;
        out.factor = a.factor != 1 ? a.factor : b.factor;
        return out;
}

/* Bits are changed by another number: it stays what it was, in another form. */
static Number formed(Reader *r, Number a, Number b, uint16_t done) {
        if (a.kind == NUMBER_CONST && b.kind == NUMBER_CONST)
                return done == DID_SHIFT_UP && b.add >= 0 && b.add < 63
                               ? number_const((int64_t)((uint64_t)a.add << b.add))
                               : number_none();
        if (b.kind == NUMBER_PLACE && a.kind == NUMBER_PLACE) {
                b.done |= done;
                use(r, &b, 0);
        }
        if (a.kind == NUMBER_CONST || a.kind == NUMBER_NONE ||
            (a.kind == NUMBER_OTHER && b.kind == NUMBER_PLACE))
                a = b;
        a.done |= done;
        return a;
}

static uint16_t deed_of(const Op *op) {
        switch (op->mnemonic) {
        case ZYDIS_MNEMONIC_XOR:
                return DID_XOR;
        case ZYDIS_MNEMONIC_BSWAP:
        case ZYDIS_MNEMONIC_MOVBE:
                return DID_SWAP;
        case ZYDIS_MNEMONIC_NOT:
                return DID_NOT;
        case ZYDIS_MNEMONIC_NEG:
                return DID_NEGATE;
        case ZYDIS_MNEMONIC_ROL:
        case ZYDIS_MNEMONIC_ROR:
                return op->size == 2 && op->has_imm && op->imm == 8 ? DID_SWAP : DID_ROTATE;
        case ZYDIS_MNEMONIC_AND:
                return DID_AND;
        case ZYDIS_MNEMONIC_OR:
                return DID_OR;
        case ZYDIS_MNEMONIC_SHL:
                return DID_SHIFT_UP;
        case ZYDIS_MNEMONIC_SHR:
        case ZYDIS_MNEMONIC_SAR:
                return DID_SHIFT_DOWN;
        default:
                return 0;
        }
}

static Condition condition_of(uint16_t mnemonic) {
        switch (mnemonic) {
        case ZYDIS_MNEMONIC_JZ:
        case ZYDIS_MNEMONIC_JNZ:
        case ZYDIS_MNEMONIC_SETZ:
        case ZYDIS_MNEMONIC_SETNZ:
        case ZYDIS_MNEMONIC_CMOVZ:
        case ZYDIS_MNEMONIC_CMOVNZ:
                return ASK_EQUAL;
        case ZYDIS_MNEMONIC_JLE:
        case ZYDIS_MNEMONIC_JNLE:
        case ZYDIS_MNEMONIC_JBE:
        case ZYDIS_MNEMONIC_JNBE:
        case ZYDIS_MNEMONIC_SETLE:
        case ZYDIS_MNEMONIC_SETNLE:
        case ZYDIS_MNEMONIC_SETBE:
        case ZYDIS_MNEMONIC_SETNBE:
        case ZYDIS_MNEMONIC_CMOVLE:
        case ZYDIS_MNEMONIC_CMOVNLE:
        case ZYDIS_MNEMONIC_CMOVBE:
        case ZYDIS_MNEMONIC_CMOVNBE:
                return ASK_AT_MOST;
        case ZYDIS_MNEMONIC_JL:
        case ZYDIS_MNEMONIC_JNL:
        case ZYDIS_MNEMONIC_JB:
        case ZYDIS_MNEMONIC_JNB:
        case ZYDIS_MNEMONIC_SETL:
        case ZYDIS_MNEMONIC_SETNL:
        case ZYDIS_MNEMONIC_SETB:
        case ZYDIS_MNEMONIC_SETNB:
        case ZYDIS_MNEMONIC_CMOVL:
        case ZYDIS_MNEMONIC_CMOVNL:
        case ZYDIS_MNEMONIC_CMOVB:
        case ZYDIS_MNEMONIC_CMOVNB:
                return ASK_BELOW;
        case ZYDIS_MNEMONIC_JS:
        case ZYDIS_MNEMONIC_JNS:
        case ZYDIS_MNEMONIC_SETS:
        case ZYDIS_MNEMONIC_SETNS:
        case ZYDIS_MNEMONIC_CMOVS:
        case ZYDIS_MNEMONIC_CMOVNS:
                return ASK_SIGN;
        default:
                return ASK_NOTHING;
        }
}

static void ask(Reader *r, Condition c) {
        const Flags *f = &r->flags;
        const Number *n = &f->first;
        int64_t below = c == ASK_BELOW;

        if (!f->valid)
                return;
        if (f->second.kind !=
            NUMBER_CONST) { /* of two, neither of which is a number that stands in the code */
                int64_t first = n->kind == NUMBER_NONE ? 0 : n->add,
                        second = f->second.kind == NUMBER_NONE ? 0 : f->second.add;

                use(r, n, number_minus(below, second));
                use(r, &f->second, number_minus(-below, first));
                return;
        }
        if (n->kind == NUMBER_PLACE)
                add_fact(r, (Fact){ .kind = f->bits ? FACT_BITS : FACT_ASK,
                                    .place = n->from,
                                    .width = n->width,
                                    .number = f->bits ? f->number
                                              : c == ASK_SIGN
                                                      ? number_minus(-1, n->add)
                                                      : number_minus(number_minus(f->number, below), n->add),
                                    .factor = n->factor,
                                    .done = n->done,
                                    .equal = c == ASK_EQUAL && !f->bits });
}

static void compare(Reader *r, const Op *op, uint32_t i) {
        Number a = op->has_mem && op->mem_first ? load(r, op, i)
                   : op->dst >= 0               ? r->reg[op->dst]
                                                : number_none();
        Number b = operand(r, op, i);
        Flags *f = &r->flags;

        *f = (Flags){ .first = a, .second = b, .valid = true };
        if (b.kind == NUMBER_CONST)
                f->number = b.add;
        if (op->mnemonic == ZYDIS_MNEMONIC_CMP)
                return;
        f->bits = true;
        if (op->mnemonic == ZYDIS_MNEMONIC_BT && b.kind == NUMBER_CONST)
                f->number = (int64_t)(UINT64_C(1) << (f->number & 63));
        if (op->mnemonic == ZYDIS_MNEMONIC_TEST && !op->has_mem && op->dst == op->src) {
                f->bits = false;
                f->second = number_const(0);
                f->number = 0;
        }
}

/* The result of arithmetic is held against 0 by a jump right behind it. */
static void flags_of(Reader *r, Number n) {
        r->flags = (Flags){ .first = n, .second = number_const(0), .valid = true };
}

static void arithmetic(Reader *r, const Op *op, uint32_t i) {
        bool mem = op->has_mem && op->mem_first;
        Number a = mem ? load(r, op, i) : op->dst >= 0 ? r->reg[op->dst] : number_none(), b, out;

        b = operand(r, op, i);
        if (op->kind == OP_ADD || op->kind == OP_SUB) {
                out = sum(r, a, b, op->kind == OP_SUB);
        } else if (op->kind == OP_IMUL) {
                Number c = op->has_mem ? load(r, op, i) : op->src >= 0 ? r->reg[op->src] : a;

                use(r, &c, 0);
                out = op->has_imm ? c : number_none();
                out.factor = op->has_imm ? (int64_t)((uint64_t)out.factor * (uint64_t)op->imm) : 1;
        } else {
                if (deed_of(op) == DID_SHIFT_DOWN && a.kind == NUMBER_PLACE && b.kind == NUMBER_CONST &&
                    b.add == op->size * 8 - 1) /* whether it is below 0 */
                        add_fact(r, (Fact){ .kind = FACT_ASK,
                                            .place = a.from,
                                            .width = a.width,
                                            .number = number_minus(-1, a.add),
                                            .factor = a.factor,
                                            .done = a.done & (uint16_t)~DID_NOT });
                out = formed(r, a, b, deed_of(op));
        }
        if (mem)
                store(r, op, i, out);
        else
                set(r, op->dst, out);
        flags_of(r, out);
        if (op->kind == OP_AND && op->has_imm) /* bits that are asked for and kept */
                r->flags = (Flags){ .first = a, .second = b, .number = op->imm, .bits = true, .valid = true };
}

static const CallSite *call_at(Reader *r, uint32_t i) {
        while (r->call < r->f->n_calls && r->f->calls[r->call].op < i)
                r->call++;
        return r->call < r->f->n_calls && r->f->calls[r->call].op == i ? &r->f->calls[r->call] : NULL;
}

static void call(Reader *r, const CallSite *c) {
        uint64_t callee = FROM_UNKNOWN;

        for (unsigned k = 0; k < VALUES_MAX_ARGS; k++)
                if (r->fresh & (1u << arguments[k]))
                        use(r, &r->reg[arguments[k]], 0);
        if (c->callee >= ROOT_FIRST)
                callee = fact_returned(c->callee);
        for (unsigned k = 0; k < 16; k++)
                if (CALLER_SAVED & (1u << k) || k == 0)
                        r->reg[k] = number_none();
        r->fresh = 0;
        r->counted = number_none();
        memset(r->vector, 0, sizeof(r->vector));
        r->reg[0] = callee == FROM_UNKNOWN ? number_none() : number_other(callee);
        r->flags.valid = false;
}

/* Registers that lead somewhere. */
static void use_address(Reader *r, const Op *op) {
        if (!op->has_mem || op->kind == OP_LEA)
                return;
        if (op->base >= 0 && op->base != 4)
                use(r, &r->reg[op->base], 0);
        if (op->index >= 0)
                use(r, &r->reg[op->index], 0);
}

static void lea(Reader *r, const Op *op) {
        Number n = op->base >= 0 ? r->reg[op->base] : number_const(0), index;

        if (op->rip || op->base == 4) {
                set(r, op->dst, op->rip ? number_other(FROM_ADDRESS) : number_none());
                return;
        }
        if (n.kind == NUMBER_NONE) {
                set(r, op->dst, n);
                return;
        }
        n.add = number_plus(n.add, op->disp);
        if (op->index >= 0) {
                index = r->reg[op->index];
                if (op->scale > 1) {
                        use(r, &index, 0);
                        index = index.kind == NUMBER_NONE ? index
                                                          : number_other(mix(source_of(&index), op->scale));
                }
                n = sum(r, n, index, false);
        }
        set(r, op->dst, n);
}

/* What is put together in a vector register are the numbers of several members. */
static void store_vector(Reader *r, const Op *op, uint32_t i, const Vector *v) {
        const Access *a;
        Fact fact = { .kind = FACT_STORE, .factor = 1, .from = FROM_NUMBER };

        if (!place_at(r, i, &a) || a->at.stride)
                return;
        fact.root = a->at.root;
        fact.made = a->at.root >= ROOT_FIRST && values_node(r->w, a->at.root)->kind == NODE_FRESH;
        for (uint16_t width = 4; width <= 8; width = (uint16_t)(width * 2))
                for (uint16_t at = 0; at + width <= op->width; at = (uint16_t)(at + width)) {
                        Value part = a->at;
                        bool there = v->bytes && at + width <= v->size;
                        int32_t word = 0;

                        fact.number = 0;
                        if (there && width == 8)
                                memcpy(&fact.number, v->bytes + at, 8);
                        else if (there)
                                memcpy(&word, v->bytes + at, 4);
                        if (width == 4)
                                fact.number = word;
                        part.off += at;
                        fact.place = fact_place(part);
                        fact.width = width;
                        add_fact(r, fact);
                }
}

static bool moves_vector(uint16_t mnemonic) {
        return mnemonic == ZYDIS_MNEMONIC_MOVAPS || mnemonic == ZYDIS_MNEMONIC_MOVUPS ||
               mnemonic == ZYDIS_MNEMONIC_MOVDQA || mnemonic == ZYDIS_MNEMONIC_MOVDQU ||
               mnemonic == ZYDIS_MNEMONIC_MOVAPD || mnemonic == ZYDIS_MNEMONIC_MOVQ;
}

/* The vector register that the instruction names first, where it has none of memory; -1: not of SSE. */
static int vector_register(const Reader *r, const Op *op) {
        const uint8_t *b = image_bytes(r->f->code->image, op->addr, op->length);
        unsigned i = 0, rex = 0;

        while (b && i + 3 < op->length && (b[i] == 0x66 || b[i] == 0xf2 || b[i] == 0xf3))
                i++;
        if (b && i + 3 < op->length && (b[i] & 0xf0) == 0x40)
                rex = b[i++];
        if (!b || i + 2 >= op->length || b[i] != 0x0f)
                return -1;
        i += b[i + 1] == 0x38 || b[i + 1] == 0x3a ? 3 : 2;
        return i < op->length ? (b[i] >> 3 & 7) | (rex & 4 ? 8 : 0) : -1;
}

/* True when the op has to do with a constant in a vector register. */
static bool vector(Reader *r, const Op *op, uint32_t i) {
        bool constant = op->rip && place_of(r->f->code, (uint64_t)op->disp).kind == PLACE_CONST;
        int reg = op->writes ? -1 : vector_register(r, op);
        Vector *v = reg < 0 ? NULL : &r->vector[reg];

        if (!v) {
                if (!op->writes)
                        memset(r->vector, 0, sizeof(r->vector));
                return false;
        }
        if (op->has_mem && op->mem_first && (op->flags & ACCESS_WRITE)) {
                if (!moves_vector(op->mnemonic) || !v->known)
                        return false;
                store_vector(r, op, i, v);
                return true;
        }
        *v = (Vector){ 0 };
        if ((op->mnemonic == ZYDIS_MNEMONIC_PXOR || op->mnemonic == ZYDIS_MNEMONIC_XORPS) && !op->has_mem) {
                v->known = true;
        } else if (constant && moves_vector(op->mnemonic)) {
                v->size = op->width;
                v->bytes = image_bytes(r->f->code->image, (uint64_t)op->disp, v->size);
                v->known = v->bytes != NULL;
        }
        return constant;
}

static void other(Reader *r, const Op *op, uint32_t i) {
        uint16_t deed = deed_of(op);

        if (vector(r, op, i))
                return;
        if (op->mnemonic == ZYDIS_MNEMONIC_OR && op->has_imm && op->imm == -1 && !op->has_mem) {
                set(r, op->dst, number_const(-1));
                return;
        }
        if (deed && (op->dst >= 0 || (op->has_mem && op->mem_first))) {
                arithmetic(r, op, i);
                return;
        }
        for (int8_t k = 0; k < 16; k++) {
                if (op->reads & (1u << k))
                        use(r, &r->reg[k], 0);
                if (op->writes & (1u << k))
                        set(r, k, number_none());
        }
        if (op->has_mem && !op->mem_first) {
                Number n = load(r, op, i);

                use(r, &n, 0);
        }
        if (op->has_mem && op->mem_first && (op->flags & ACCESS_WRITE))
                store(r, op, i, number_none());
}

/* Control does not go on from here to the next op. */
static void forget(Reader *r) {
        for (unsigned k = 0; k < 16; k++)
                r->reg[k] = number_none();
        r->fresh = 0;
        r->counted = number_none();
        memset(r->vector, 0, sizeof(r->vector));
        r->flags.valid = false;
        r->lost = true;
}

/* Remembers for where the branch leads, if that lies ahead. */
static void branch(Reader *r, const Op *op, uint32_t i) {
        uint32_t to = op->target && r->n_ahead < MAX_AHEAD ? values_op_at(r->f, op->target) : NO_OP;

        if (to == NO_OP || to <= i)
                return;
        for (unsigned k = 0; k < r->n_ahead; k++)
                if (r->ahead[k].op == to)
                        return;
        memcpy(r->ahead[r->n_ahead].reg, r->reg, sizeof(r->reg));
        r->ahead[r->n_ahead++].op = to;
}

static void give_parameters(Reader *r) {
        for (unsigned k = 0; k < VALUES_MAX_ARGS; k++)
                r->reg[arguments[k]] = number_other(mix(k, 5));
}

/* Control comes to the op from elsewhere, too, or alone. What both ways know they agree on. */
static void arrive(Reader *r, uint32_t i) {
        if (r->lost && i && r->f->ops[i].addr != r->f->ops[i - 1].addr + r->f->ops[i - 1].length)
                give_parameters(r); /* another part of the function */
        for (unsigned k = 0; k < r->n_ahead;) {
                if (r->ahead[k].op > i) {
                        k++;
                        continue;
                }
                for (unsigned reg = 0; r->ahead[k].op == i && reg < 16; reg++)
                        if (r->reg[reg].kind == NUMBER_NONE)
                                r->reg[reg] = r->ahead[k].reg[reg];
                r->ahead[k] = r->ahead[--r->n_ahead];
        }
        r->lost = false;
}

static void read_op(Reader *r, uint32_t i) {
        const Op *op = &r->f->ops[i];
        const CallSite *c;
        Condition asks = condition_of(op->mnemonic);
        Number n;

        use_address(r, op);
        if (asks)
                ask(r, asks);
        if (op->kind != OP_CALL && op->kind != OP_JMP)
                r->fresh &= (uint16_t)~op->reads;
        switch ((OpKind)op->kind) {
        case OP_NOP:
                break;
        case OP_MOV:
                n = operand(r, op, i);
                n.done |= op->mnemonic == ZYDIS_MNEMONIC_MOVBE ? DID_SWAP : 0;
                if (op->has_mem && op->mem_first)
                        store(r, op, i, n);
                else
                        set(r, op->dst, n);
                break;
        case OP_LEA:
                lea(r, op);
                break;
        case OP_ADD:
        case OP_SUB:
        case OP_SHL:
        case OP_IMUL:
        case OP_AND:
                arithmetic(r, op, i);
                break;
        case OP_ZERO:
                set(r, op->dst, number_const(0));
                break;
        case OP_CMP:
                compare(r, op, i);
                break;
        case OP_PUSH:
                if (op->dst >= 0)
                        use(r, &r->reg[op->dst], 0);
                break;
        case OP_CALL:
        case OP_JMP:
                n = op->has_mem ? load(r, op, i) : op->dst >= 0 ? r->reg[op->dst] : number_none();
                use(r, &n, 0);
                c = call_at(r, i);
                if (c)
                        call(r, c);
                if (op->kind == OP_JMP) {
                        branch(r, op, i);
                        forget(r);
                }
                break;
        case OP_RET:
                use(r, &r->reg[0], 0);
                forget(r);
                break;
        case OP_STOP:
                forget(r);
                break;
        case OP_JCC:
                branch(r, op, i);
                break;
        default:
                other(r, op, i);
                break;
        }
}

void facts_of(const Values *w, const FnValues *f, uint32_t match, FactList *out) {
        Reader r = { .w = w, .f = f, .out = out, .first = out->n, .match = match };

        if (f->incomplete)
                return;
        for (unsigned k = 0; k < 16; k++)
                r.reg[k] = number_none();
        give_parameters(&r);
        for (uint32_t i = 0; i < f->n_ops; i++) {
                arrive(&r, i);
                read_op(&r, i);
        }
}

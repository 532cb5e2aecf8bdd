/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <string.h>

/*
 * What is done for which number of an enumeration, whatever form compilers give to the question: chains of
 * compares, trees, tables, conditional moves, and another one in the new build. Each small number is followed
 * through the instructions that ask for it, on both sides. Where it comes out begins its case.
 */

enum { SMALL = 40, FAR = 40, NUMBERS = SMALL + FAR, STEPS = 96, SLOTS = 8, CASES_LEAST = 3, MAX_KEYS = 16 };

/* What is asked for: what lies at a place of an object, or a parameter. */
typedef struct Key {
        int param; /* -1: none */
        Value at;
        uint16_t width;
} Key;

typedef struct Num {
        bool known;
        int64_t n;
} Num;

typedef struct Slot {
        int8_t base;
        uint16_t width;
        int64_t disp;
        Num n;
} Slot;

/* One number's way through a function. */
typedef struct Way {
        const FnValues *f;
        const Key *key;
        int64_t number;
        Num reg[16];
        Slot slots[SLOTS];
        size_t n_slots;
        bool flags, bit; /* of what was compared last; bit: the carry alone, in `left` */
        int64_t left, right;
        uint8_t size;
        Num entry; /* of the table that was looked in last */
} Way;

static uint64_t cut(int64_t n, unsigned size) {
        return size >= 8 || size == 0 ? (uint64_t)n : (uint64_t)n & ((UINT64_C(1) << (size * 8)) - 1);
}

static int64_t extend(int64_t n, unsigned size) {
        unsigned up = size >= 8 || size == 0 ? 0 : 64 - size * 8;

        return (int64_t)((uint64_t)n << up) >> up;
}

static bool on_stack(const Op *op) {
        return op->has_mem && !op->rip && op->index < 0 && (op->base == 4 || op->base == 5);
}

/* A part of a number is followed where it is the number. */
static Num in_width(Num n, bool whole) {
        n.known = n.known && (whole || (n.n >= 0 && n.n < 128));
        return n;
}

static Num load(const Way *w, uint32_t i) {
        const Op *op = &w->f->ops[i];
        const Access *a;
        size_t n;

        if (on_stack(op))
                for (size_t k = w->n_slots; k-- > 0;)
                        if (w->slots[k].base == op->base && w->slots[k].disp == op->disp)
                                return in_width(w->slots[k].n, w->slots[k].width == op->width);
        if (w->key->param >= 0)
                return (Num){ 0 };
        a = accesses_of_op(w->f, i, &n);
        for (size_t k = 0; k < n; k++)
                if (value_equal(a[k].at, w->key->at) && a[k].width == w->key->width)
                        return (Num){ true, w->number };
        return (Num){ 0 };
}

static Num register_of(const Way *w, int8_t reg) {
        return reg >= 0 ? w->reg[reg] : (Num){ 0 };
}

/* The last operand. */
static Num source(const Way *w, uint32_t i) {
        const Op *op = &w->f->ops[i];

        if (op->has_imm)
                return (Num){ true, op->imm };
        if (op->has_mem && !op->mem_first)
                return load(w, i);
        return register_of(w, op->src);
}

static Num target(const Way *w, uint32_t i) {
        const Op *op = &w->f->ops[i];

        return op->has_mem && op->mem_first ? load(w, i) : register_of(w, op->dst);
}

static void put(Way *w, const Op *op, Num n) {
        if (op->dst < 0)
                return;
        if (op->size < 4 && n.known) { /* the rest of the register stays */
                uint64_t low = cut(-1, op->size);

                n.known = w->reg[op->dst].known;
                n.n = (int64_t)(((uint64_t)w->reg[op->dst].n & ~low) | ((uint64_t)n.n & low));
        } else {
                n.n = (int64_t)cut(n.n, op->size);
        }
        w->reg[op->dst] = n;
}

static void forget(Way *w, const Op *op) {
        for (int i = 0; i < 16; i++)
                if (op->writes & (1u << i))
                        w->reg[i].known = false;
}

static void compare(Way *w, Num left, Num right, unsigned size) {
        w->flags = left.known && right.known;
        w->bit = false;
        w->left = left.n;
        w->right = right.n;
        w->size = (uint8_t)size;
}

/* What an instruction asks of the flags: -1 when that is not known. */
static int condition(const Way *w, uint16_t mnemonic) {
        uint64_t a = cut(w->left, w->size), b = cut(w->right, w->size);
        int64_t x = extend(w->left, w->size), y = extend(w->right, w->size);

        if (!w->flags)
                return -1;
        switch (mnemonic) {
        case ZYDIS_MNEMONIC_JB:
        case ZYDIS_MNEMONIC_SETB:
        case ZYDIS_MNEMONIC_CMOVB:
                return w->bit ? w->left != 0 : a < b;
        case ZYDIS_MNEMONIC_JNB:
        case ZYDIS_MNEMONIC_SETNB:
        case ZYDIS_MNEMONIC_CMOVNB:
                return w->bit ? w->left == 0 : a >= b;
        default:
                break;
        }
        if (w->bit)
                return -1;
        switch (mnemonic) {
        case ZYDIS_MNEMONIC_JZ:
        case ZYDIS_MNEMONIC_SETZ:
        case ZYDIS_MNEMONIC_CMOVZ:
                return a == b;
        case ZYDIS_MNEMONIC_JNZ:
        case ZYDIS_MNEMONIC_SETNZ:
        case ZYDIS_MNEMONIC_CMOVNZ:
                return a != b;
        case ZYDIS_MNEMONIC_JBE:
        case ZYDIS_MNEMONIC_SETBE:
        case ZYDIS_MNEMONIC_CMOVBE:
                return a <= b;
        case ZYDIS_MNEMONIC_JNBE:
        case ZYDIS_MNEMONIC_SETNBE:
        case ZYDIS_MNEMONIC_CMOVNBE:
                return a > b;
        case ZYDIS_MNEMONIC_JL:
        case ZYDIS_MNEMONIC_SETL:
        case ZYDIS_MNEMONIC_CMOVL:
                return x < y;
        case ZYDIS_MNEMONIC_JNL:
        case ZYDIS_MNEMONIC_SETNL:
        case ZYDIS_MNEMONIC_CMOVNL:
                return x >= y;
        case ZYDIS_MNEMONIC_JLE:
        case ZYDIS_MNEMONIC_SETLE:
        case ZYDIS_MNEMONIC_CMOVLE:
                return x <= y;
        case ZYDIS_MNEMONIC_JNLE:
        case ZYDIS_MNEMONIC_SETNLE:
        case ZYDIS_MNEMONIC_CMOVNLE:
                return x > y;
        case ZYDIS_MNEMONIC_JS:
                return extend((int64_t)((uint64_t)x - (uint64_t)y), w->size) < 0;
        case ZYDIS_MNEMONIC_JNS:
                return extend((int64_t)((uint64_t)x - (uint64_t)y), w->size) >= 0;
        default:
                return -1;
        }
}

static void step_compare(Way *w, uint32_t i) {
        const Op *op = &w->f->ops[i];
        Num a = target(w, i), b = source(w, i);

        if (op->mnemonic == ZYDIS_MNEMONIC_CMP) {
                compare(w, a, b, op->size);
        } else if (op->mnemonic == ZYDIS_MNEMONIC_BT && !(op->has_mem && op->mem_first)) {
                w->flags = a.known && b.known;
                w->bit = true;
                w->left = (int64_t)(((uint64_t)a.n >> ((uint64_t)b.n & (op->size >= 8 ? 63 : 31))) & 1);
        } else {
                compare(w, (Num){ a.known && b.known, a.n & b.n }, (Num){ true, 0 }, op->size);
        }
}

/* Arithmetic of two numbers in a register. */
static void step_count(Way *w, uint32_t i) {
        const Op *op = &w->f->ops[i];
        Num a = target(w, i), b = source(w, i), out = { a.known && b.known, 0 };
        uint64_t x = (uint64_t)a.n, y = (uint64_t)b.n;

        if (op->mnemonic == ZYDIS_MNEMONIC_ADD || op->mnemonic == ZYDIS_MNEMONIC_INC)
                out.n = (int64_t)(x + y);
        else if (op->mnemonic == ZYDIS_MNEMONIC_SUB || op->mnemonic == ZYDIS_MNEMONIC_DEC)
                out.n = (int64_t)(x - y);
        else if (op->mnemonic == ZYDIS_MNEMONIC_AND)
                out.n = (int64_t)(x & y);
        else if (op->mnemonic == ZYDIS_MNEMONIC_OR)
                out.n = (int64_t)(x | y);
        else if (op->mnemonic == ZYDIS_MNEMONIC_XOR)
                out.n = (int64_t)(x ^ y);
        else if (op->mnemonic == ZYDIS_MNEMONIC_SHL)
                out.n = (int64_t)(x << (y & 63));
        else if (op->mnemonic == ZYDIS_MNEMONIC_SHR)
                out.n = (int64_t)(cut(a.n, op->size) >> (y & 63));
        else if (op->mnemonic == ZYDIS_MNEMONIC_SAR)
                out.n = extend(a.n, op->size) >> (y & 63);
        else
                out.known = false;
        put(w, op, out);
        if (op->kind == OP_SUB)
                compare(w, a, b, op->size);
        else
                compare(w, out, (Num){ true, 0 }, op->size);
        /* The carry of these is another one than that of a compare with zero. */
        w->flags = w->flags && op->kind != OP_ADD && op->mnemonic != ZYDIS_MNEMONIC_SHL &&
                   op->mnemonic != ZYDIS_MNEMONIC_SHR && op->mnemonic != ZYDIS_MNEMONIC_SAR;
}

static void step_lea(Way *w, const Op *op) {
        Num b = register_of(w, op->base), x = register_of(w, op->index);
        uint64_t n = (uint64_t)op->disp;
        bool known = !op->rip;

        if (op->base >= 0)
                n += (uint64_t)b.n;
        if (op->index >= 0)
                n += (uint64_t)x.n * op->scale;
        known = known && (op->base < 0 || b.known) && (op->index < 0 || x.known);
        put(w, op, (Num){ known, (int64_t)n });
}

static void step_move(Way *w, uint32_t i) {
        const Op *op = &w->f->ops[i];
        Num n = source(w, i);

        if (op->has_mem && op->mem_first) {
                Slot *s = NULL;

                for (size_t k = 0; k < w->n_slots; k++)
                        if (w->slots[k].base == op->base && w->slots[k].disp == op->disp)
                                s = &w->slots[k];
                if (!s && w->n_slots < SLOTS)
                        s = &w->slots[w->n_slots++];
                if (s)
                        *s = (Slot){ op->base, op->width, op->disp, n };
                return;
        }
        if (op->has_mem && op->index >= 0 && (op->scale == 4 || op->scale == 8))
                w->entry = w->reg[op->index];
        if (op->mnemonic == ZYDIS_MNEMONIC_MOVSXD)
                n.n = extend(n.n, 4);
        else if (op->narrow && op->src >= 0)
                n = in_width(n, false);
        put(w, op, n);
}

/* An instruction that does not end the question. False: it does. */
static bool step(Way *w, uint32_t i) {
        const Op *op = &w->f->ops[i];
        int yes;

        switch ((OpKind)op->kind) {
        case OP_NOP:
                return true;
        case OP_PUSH:
                w->n_slots = 0;
                return true;
        case OP_MOV:
                if (op->has_mem && op->mem_first && !on_stack(op))
                        return false;
                step_move(w, i);
                return true;
        case OP_LEA:
                step_lea(w, op);
                return true;
        case OP_ZERO:
                put(w, op, (Num){ true, 0 });
                w->flags = false;
                return true;
        case OP_CMP:
                step_compare(w, i);
                return true;
        case OP_CMOV:
                yes = condition(w, op->mnemonic);
                if (yes < 0)
                        forget(w, op);
                else if (yes)
                        put(w, op, source(w, i));
                return true;
        case OP_ADD:
        case OP_SUB:
        case OP_AND:
        case OP_SHL:
        case OP_OTHER:
                if (op->has_mem && (op->flags & ACCESS_WRITE))
                        return false;
                yes = condition(w, op->mnemonic);
                if (yes >= 0) { /* a conditional set: these are all that is left */
                        put(w, op, (Num){ true, yes });
                        return true;
                }
                if (op->class == CLASS_INT && op->dst >= 0 && op->writes == 1u << op->dst) {
                        step_count(w, i);
                        return true;
                }
                forget(w, op);
                w->flags = false;
                return true;
        default:
                return false;
        }
}

/* Where an indirect jump leads; NO_OP: not known. */
static uint32_t table_leads(const Way *w, uint32_t i) {
        const FnValues *f = w->f;
        Num entry = f->ops[i].has_mem ? register_of(w, f->ops[i].index) : w->entry;
        uint64_t to = 0;

        for (size_t k = 0; k < f->n_tables; k++)
                if (f->tables[k].op == i && entry.known && (uint64_t)entry.n < f->tables[k].n &&
                    table_entry(f, &f->tables[k], (uint32_t)entry.n, &to))
                        return values_op_at(f, to);
        return NO_OP;
}

/* Where the number's case begins; NO_OP: not known. */
static uint32_t case_of_number(const FnValues *f, const Key *key, uint32_t from, int64_t number) {
        static const int8_t registers[VALUES_MAX_ARGS] = { 7, 6, 2, 1, 8, 9 };
        Way w = { .f = f, .key = key, .number = number };
        uint32_t i = from, begin = NO_OP;

        if (key->param >= 0)
                w.reg[registers[key->param]] = (Num){ true, number };
        for (unsigned n = 0; n < STEPS && i < f->n_ops; n++) {
                const Op *op = &f->ops[i];

                if (op->kind == OP_JCC) {
                        int yes = condition(&w, op->mnemonic);

                        if (yes < 0 || (yes && !op->target))
                                break;
                        begin = i = yes ? values_op_at(f, op->target) : i + 1;
                } else if (op->kind == OP_JMP && op->target) {
                        uint32_t to = values_op_at(f, op->target);

                        if (to == NO_OP)
                                break;
                        begin = begin == i ? to : begin;
                        i = to;
                } else if (op->kind == OP_JMP) {
                        i = table_leads(&w, i);
                        if (i == NO_OP)
                                break;
                        begin = i;
                } else if (step(&w, i)) {
                        i++;
                } else {
                        break;
                }
        }
        return begin;
}

static int64_t number_of(unsigned i) {
        /* Rust puts numbers of variants beyond what the length of a vector or text can be */
        return i < SMALL ? (int64_t)i : (int64_t)((UINT64_C(1) << 63) + (i - SMALL));
}

/* Where the question begins. */
static uint32_t first_use(const FnValues *f, const Key *key) {
        if (key->param >= 0)
                return 0;
        for (size_t i = 0; i < f->n_accesses; i++)
                if (value_equal(f->accesses[i].at, key->at) && f->accesses[i].width == key->width &&
                    (f->accesses[i].flags & ACCESS_READ))
                        return f->accesses[i].op;
        return NO_OP;
}

/* The cases that numbers lead to, without doubles; returns how many. */
static size_t distinct(const uint32_t *of, uint32_t *out) {
        size_t n = 0;

        for (unsigned i = 0; i < NUMBERS; i++) {
                size_t k = 0;

                while (k < n && out[k] != of[i])
                        k++;
                if (k == n && of[i] != NO_OP)
                        out[n++] = of[i];
        }
        return n;
}

/* Where control goes on without doing anything. */
static uint32_t past_jumps(const FnValues *f, uint32_t i) {
        for (unsigned n = 0; n < STEPS && i < f->n_ops && f->ops[i].kind == OP_JMP && f->ops[i].target; n++)
                i = values_op_at(f, f->ops[i].target);
        return i;
}

static uint32_t callee_at(const FnValues *f, uint32_t op) {
        for (size_t i = 0; i < f->n_calls; i++)
                if (f->calls[i].op == op)
                        return f->calls[i].callee;
        return ROOT_NONE;
}

/* The slots hold the same function, of this image or of another one. */
static bool same_slot(const Diff *d, uint64_t old, uint64_t new) {
        Place a = place_of(d->old, old), b = place_of(d->new, new);
        const CodePart *x, *y;

        if (a.kind == PLACE_IMPORT && b.kind == PLACE_IMPORT)
                return strcmp(a.name, b.name) == 0 && strcmp(a.version, b.version) == 0;
        if (a.kind != PLACE_POINTER || b.kind != PLACE_POINTER)
                return false;
        x = code_part_start(d->old, a.target);
        y = code_part_start(d->new, b.target);
        return x && y && d->old_match[x->function] == d->new_match[y->function];
}

/* What two instructions of the same shape refer to is the same. */
static bool same_operand(Judge *j, const PairView *p, uint32_t old, uint32_t new) {
        const Op *a = &p->old->ops[old], *b = &p->new->ops[new];
        const Access *x, *y;
        size_t n, m;

        if ((a->kind == OP_CALL || a->kind == OP_JMP) && a->rip &&
            same_slot(j->d, (uint64_t)a->disp, (uint64_t)b->disp))
                return true;
        if (a->kind == OP_CALL)
                return callee_at(p->old, old) != ROOT_NONE &&
                       callee_at(p->old, old) == callee_at(p->new, new);
        if (!a->rip)
                return a->disp == b->disp;
        if (place_of(j->d->old, (uint64_t)a->disp).kind == PLACE_CONST)
                return pointees_same(j->d, (uint64_t)a->disp, (uint64_t)b->disp);
        x = accesses_of_op(p->old, old, &n);
        y = accesses_of_op(p->new, new, &m);
        return n == 1 && m == 1 ? value_equal(x->at, y->at)
                                : value_equal(p->old->op_value[old], p->new->op_value[new]);
}

/* Two cases do the same, as far as they go straight on; two instructions at least. */
static bool same_case(Judge *j, const PairView *p, uint32_t old, uint32_t new) {
        enum { ENOUGH = 12 };
        unsigned n = 0;

        for (; n < ENOUGH; n++, old++, new ++) {
                const Op *a, *b;

                old = past_jumps(p->old, old);
                new = past_jumps(p->new, new);
                if (old >= p->old->n_ops || new >= p->new->n_ops)
                        return false;
                a = &p->old->ops[old];
                b = &p->new->ops[new];
                if (!shape_equal(a, b) || a->imm != b->imm || !same_operand(j, p, old, new))
                        return false;
                if (a->kind == OP_JMP || a->kind == OP_JCC || a->kind == OP_RET)
                        break;
        }
        return n > 0;
}

/* The only case of the other side that does the same; NO_OP: there is none, or there are several. */
static uint32_t counterpart(Judge *j, const PairView *p, uint32_t op, const uint32_t *others, size_t n,
                            bool of_old) {
        uint32_t out = NO_OP;

        for (size_t i = 0; i < n; i++) {
                if (!same_case(j, p, of_old ? op : others[i], of_old ? others[i] : op))
                        continue;
                if (out != NO_OP)
                        return NO_OP;
                out = others[i];
        }
        return out;
}

/* Which numbers lead to the case; returns how many. */
static size_t numbers_of(const uint32_t *of, uint32_t begin, unsigned *first) {
        size_t n = 0;

        for (unsigned i = NUMBERS; i-- > 0;)
                if (of[i] == begin) {
                        *first = i;
                        n++;
                }
        return n;
}

static bool shares_number(const uint32_t *old, uint32_t a, const uint32_t *new, uint32_t b) {
        for (unsigned i = 0; i < NUMBERS; i++)
                if (old[i] == a && new[i] == b)
                        return true;
        return false;
}

/* Two cases or more have other numbers now; or one has, where a case came or went, or where it is one
 * number's on both sides. Of two cases alone (a flag) the question may have been mended. */
static bool case_moved(Judge *j, const PairView *p, const Key *key, int64_t *was, int64_t *is) {
        uint32_t old[NUMBERS], new[NUMBERS], a[NUMBERS], b[NUMBERS];
        uint32_t from = first_use(p->old, key), to = first_use(p->new, key);
        bool moved = false, enough = false;
        unsigned first = 0;
        size_t n, m;

        if (from == NO_OP || to == NO_OP)
                return false;
        for (unsigned i = 0; i < NUMBERS; i++) {
                bool fits = i < SMALL || key->width == 8;

                old[i] = fits ? case_of_number(p->old, key, from, number_of(i)) : NO_OP;
                new[i] = fits ? case_of_number(p->new, key, to, number_of(i)) : NO_OP;
        }
        n = distinct(old, a);
        m = distinct(new, b);
        if (n < CASES_LEAST || m < CASES_LEAST)
                return false;
        for (size_t k = 0; k < n && !enough; k++) {
                uint32_t same = counterpart(j, p, a[k], b, m, true);
                size_t x, y;

                if (same == NO_OP || counterpart(j, p, same, a, n, false) != a[k] ||
                    shares_number(old, a[k], new, same))
                        continue;
                x = numbers_of(old, a[k], &first);
                *was = number_of(first);
                y = numbers_of(new, same, &first);
                *is = number_of(first);
                enough = moved || n != m || (x == 1 && y == 1);
                moved = true;
        }
        return enough;
}

static bool has_key(const Key *keys, size_t n, const Access *a) {
        for (size_t i = 0; i < n; i++)
                if (value_equal(keys[i].at, a->at) && keys[i].width == a->width)
                        return true;
        return false;
}

static void say(Judge *j, int64_t was, int64_t is) {
        judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                  "what was done for 0x%" PRIx64 " is done for 0x%" PRIx64
                  ", as if an enumeration had changed: old objects hold the old numbers",
                  (uint64_t)was, (uint64_t)is);
}

void judge_numbered(Judge *j, const PairView *p) {
        Key keys[MAX_KEYS];
        int64_t was = 0, is = 0;
        size_t n = 0;

        for (size_t i = 0; i < p->new->n_places &&n < MAX_KEYS; i++) {
                const Access *a = &p->new->places[i];
                Need need = need_of(p->new, a);

                if ((a->flags & ACCESS_READ) && a->class == CLASS_INT && a->width <= 8 &&
                    a->at.root != ROOT_NONE && a->at.root != ROOT_CONFLICT && has_place(p->old, a) &&
                    !has_key(keys, n, a) && !place_free(j, &need))
                        keys[n++] = (Key){ -1, a->at, a->width };
        }
        for (size_t i = 0; i < n; i++)
                if (case_moved(j, p, &keys[i], &was, &is)) {
                        say(j, was, is);
                        return;
                }
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++) {
                Key key = { (int)i, value_any(), 8 };

                if (case_moved(j, p, &key, &was, &is) && given_from_object(j, p->new, i)) {
                        say(j, was, is);
                        return;
                }
        }
}

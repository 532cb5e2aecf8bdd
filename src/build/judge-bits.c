/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <string.h>

/*
 * Bit fields. What takes some bits of a word is written in several ways: a mask, a shift and a mask, two
 * shifts, a test of memory. Here all of them become a range of bits of the object, from its beginning. Where
 * a function no longer takes a range that it took, and takes another one of the same width in the same eight
 * bytes, the field has moved. A word of which more may be used than was followed counts as taken as a whole.
 */

enum { REACH = 64 };

typedef struct Range {
        uint32_t root, stride;
        int64_t bit;
        unsigned width;
        bool all; /* of a word, or some of it */
} Range;

typedef struct Ranges {
        VEC(Range) all;
        size_t parts; /* among them */
} Ranges;

/* The bits of a mask, when they are side by side. */
static bool mask_bits(int64_t imm, unsigned size, unsigned *low, unsigned *width) {
        uint64_t m = (uint64_t)imm & (size >= 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1);

        if (!m)
                return false;
        *low = (unsigned)__builtin_ctzll(m);
        m >>= *low;
        if (m & (m + 1))
                return false;
        *width = (unsigned)__builtin_popcountll(m);
        return true;
}

static bool takes_one(const Op *op) {
        return op->mnemonic == ZYDIS_MNEMONIC_BT && op->has_imm;
}

/* (Whole bytes are left out: compilers reach fields of them by their address.) */
static void add(Ranges *r, const Access *a, unsigned low, unsigned width) {
        if ((low % 8 || width % 8) && low + width <= a->width * 8U && width < a->width * 8U) {
                vec_push(&r->all, (Range){ a->at.root, a->at.stride, a->at.off * 8 + low, width, false });
                r->parts++;
        }
}

/* More of the word may be used than was followed. */
static void add_all(Ranges *r, const Access *a) {
        vec_push(&r->all, (Range){ a->at.root, a->at.stride, a->at.off * 8, a->width * 8U, true });
}

static uint64_t low_bits(unsigned n) {
        return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* What a register holds of the word. */
typedef struct Held {
        uint64_t bits; /* of the register, that are bits of the word; 0: nothing */
        int shift;     /* from the register's bits to the word's */
        bool mixed;    /* something was added or put in */
        bool stored;   /* it was put back to where the word came from */
} Held;

typedef struct Walk {
        Ranges *ranges;
        const FnValues *f;
        const Access *word;
        unsigned left; /* instructions */
} Walk;

enum { REGISTERS = 16, HIGH_BYTE = 8 };

static void take_bits(Walk *w, uint64_t bits, int shift) {
        unsigned low, width;

        if (!bits)
                return;
        if (mask_bits((int64_t)bits, 8, &low, &width) && width < w->word->width * 8U && (int)low + shift >= 0)
                add(w->ranges, w->word, (unsigned)((int)low + shift), width);
        else
                add_all(w->ranges, w->word);
}

static void take(Walk *w, Held *h) {
        take_bits(w, h->bits, h->shift);
}

static void take_registers(Walk *w, Held *held, unsigned registers) {
        for (unsigned i = 0; i < REGISTERS; i++)
                if (registers & (1u << i))
                        take(w, &held[i]);
}

static void drop_registers(Held *held, unsigned registers) {
        for (unsigned i = 0; i < REGISTERS; i++)
                if (registers & (1u << i))
                        held[i] = (Held){ 0 };
}

/* All bits of the word but some in its middle or at its lower end: what stays when a field is written. */
static bool is_rest(const Walk *w, const Held *h) {
        return !h->shift && (h->bits >> (w->word->width * 8U - 1) & 1) &&
               h->bits != low_bits(w->word->width * 8U);
}

/* The width of the register that a narrow move reads, and where it begins: %ah is 8 bits from bit 8 on. */
static unsigned narrow_source(const FnValues *f, const Op *x, bool *high) {
        const uint8_t *b = image_bytes(f->code->image, x->addr, x->length);

        *high = false;
        if (x->mnemonic == ZYDIS_MNEMONIC_MOVSXD)
                return 32;
        for (unsigned i = 0; b && i + 2 < x->length; i++)
                if (b[i] == 0x0f) {
                        *high = !(b[i + 1] & 1) && (b[i + 2] & 7) >= 4 && (!i || (b[i - 1] & 0xf0) != 0x40);
                        return b[i + 1] & 1 ? 16 : 8;
                }
        return 0;
}

/* The instruction is about %ah or its like. */
static bool is_high_byte(const FnValues *f, const Op *x) {
        const uint8_t *b = x->size == 1 ? image_bytes(f->code->image, x->addr, x->length) : NULL;

        /* (one with a REX prefix has none; the short forms for %al have no second byte of that kind) */
        return b && x->length == 3 && (b[0] == 0x80 || b[0] == 0xf6) && (b[1] & 0xc0) == 0xc0 &&
               (b[1] & 7) >= 4;
}

static void step_move(Walk *w, Held *held, const Op *x) {
        Held h = held[x->src];
        bool high = false;
        unsigned size = x->narrow ? narrow_source(w->f, x, &high) : x->size * 8U;

        if (high || !size || (!x->narrow && x->size < 4)) {
                take(w, &held[x->src]);
                drop_registers(held, x->writes);
                return;
        }
        h.bits &= low_bits(size);
        held[x->dst] = h;
}

/* Of the word's bits, the uppermost one is there. */
static bool holds_top(const Walk *w, const Held *h) {
        int top = (int)w->word->width * 8 - 1 - h->shift;

        return top >= 0 && top < 64 && (h->bits >> top & 1);
}

static void step_and(Walk *w, Held *h, const Op *x) {
        uint64_t mask = (uint64_t)x->imm;

        if (is_high_byte(w->f, x))
                mask = (mask & 0xff) << HIGH_BYTE | ~(UINT64_C(0xff) << HIGH_BYTE);
        else if (x->size < 4)
                mask |= ~low_bits(x->size * 8U);
        else
                mask &= low_bits(x->size * 8U);
        if (h->mixed && (h->bits & ~mask) && !holds_top(w, h)) {
                take(w, h); /* the mask is one for what was added */
                *h = (Held){ 0 };
                return;
        }
        h->bits &= mask;
}

static void step_shift(Held *h, const Op *x) {
        uint64_t all = low_bits(x->size * 8U);

        if (x->mnemonic == ZYDIS_MNEMONIC_SHL) {
                h->bits = h->bits << x->imm & all;
                h->shift -= (int)x->imm;
        } else {
                h->bits = (h->bits & all) >> x->imm;
                h->shift += (int)x->imm;
        }
}

/* Two values are put together; `one` is the first of them that is of the word. */
static Held put_together(Walk *w, Held a, Held b) {
        Held one = a.bits ? a : b;

        if (a.bits && b.bits && a.shift == b.shift) {
                one.bits |= b.bits;
                one.mixed = one.mixed || b.mixed;
                return one;
        }
        if ((a.bits && b.bits) || one.shift || one.bits == low_bits(w->word->width * 8U)) {
                take(w, &a);
                take(w, &b);
                return (Held){ 0 };
        }
        one.mixed = true;
        return one;
}

static bool asks_above(uint16_t mnemonic) {
        return mnemonic == ZYDIS_MNEMONIC_JNBE || mnemonic == ZYDIS_MNEMONIC_JBE ||
               mnemonic == ZYDIS_MNEMONIC_SETNBE || mnemonic == ZYDIS_MNEMONIC_SETBE ||
               mnemonic == ZYDIS_MNEMONIC_CMOVNBE || mnemonic == ZYDIS_MNEMONIC_CMOVBE;
}

static bool asks_from(uint16_t mnemonic) {
        return mnemonic == ZYDIS_MNEMONIC_JNB || mnemonic == ZYDIS_MNEMONIC_JB ||
               mnemonic == ZYDIS_MNEMONIC_SETNB || mnemonic == ZYDIS_MNEMONIC_SETB ||
               mnemonic == ZYDIS_MNEMONIC_CMOVNB || mnemonic == ZYDIS_MNEMONIC_CMOVB;
}

/* The word with a field written, held against a power of two: the bits from there on are asked for. */
static bool takes_above(const Walk *w, const Held *h, uint32_t k, unsigned *low, unsigned *width) {
        const Op *x = &w->f->ops[k];

        if (!h->mixed || h->shift || x->mnemonic != ZYDIS_MNEMONIC_CMP || !x->has_imm || x->imm <= 0)
                return false;
        for (uint32_t i = k + 1; i < w->f->n_ops && i <= k + 4; i++) {
                uint16_t m = w->f->ops[i].mnemonic;
                uint64_t from = (uint64_t)x->imm + asks_above(m);

                if ((!asks_above(m) && !asks_from(m)) || (from & (from - 1)) || !(h->bits / from))
                        continue;
                *low = (unsigned)__builtin_ctzll(from);
                *width = 64 - (unsigned)__builtin_clzll(h->bits) - *low;
                return true;
        }
        return false;
}

static void step_test(Walk *w, Held *h, uint32_t k) {
        const Op *x = &w->f->ops[k];
        uint64_t all = low_bits(x->size * 8U);
        unsigned low, width;

        if (takes_above(w, h, k, &low, &width)) {
                add(w->ranges, w->word, low, width);
        } else if (x->mnemonic == ZYDIS_MNEMONIC_TEST && x->has_imm) {
                uint64_t mask = is_high_byte(w->f, x) ? ((uint64_t)x->imm & 0xff) << HIGH_BYTE
                                                      : (uint64_t)x->imm & all;

                take_bits(w,
                          is_rest(w, h) || h->stored ? mask & low_bits(w->word->width * 8U) : h->bits & mask,
                          h->shift);
        } else {
                take_bits(w, h->bits & all, h->shift);
        }
}

/* The value goes back to where the word came from. */
static bool puts_back(const Walk *w, const Held *h, uint32_t k) {
        size_t n;
        const Access *a = accesses_of_op(w->f, k, &n);

        return n == 1 && a->at.root == w->word->at.root && a->at.stride == w->word->at.stride &&
               a->at.off >= w->word->at.off && a->at.off + a->width <= w->word->at.off + w->word->width &&
               h->shift == (int)(a->at.off - w->word->at.off) * 8;
}

static bool is_condition(const Op *x) {
        return x->kind == OP_JCC || x->kind == OP_CMOV || x->mnemonic == ZYDIS_MNEMONIC_SETZ ||
               x->mnemonic == ZYDIS_MNEMONIC_SETNZ;
}

/* An instruction on a register that holds something of the word, and no memory; false when it is another use.
 */
static bool step_register(Walk *w, Held *held, uint32_t k) {
        const Op *x = &w->f->ops[k];
        Held *h = x->dst >= 0 ? &held[x->dst] : NULL;
        bool two = x->src >= 0 && !x->has_imm;

        if (!h)
                return false;
        if (x->kind == OP_MOV && two) {
                step_move(w, held, x);
        } else if (x->kind == OP_LEA && !x->rip && x->base >= 0 && (x->index < 0 || x->scale == 1)) {
                Held a = held[x->base], b = x->index < 0 ? (Held){ 0 } : held[x->index];

                a.mixed = true;
                *h = x->index < 0 ? a : put_together(w, a, b);
        } else if (x->kind == OP_AND && x->has_imm) {
                step_and(w, h, x);
                if (k + 1 < w->f->n_ops && is_condition(x + 1))
                        take(w, h);
        } else if (x->has_imm && x->imm >= 0 && x->imm < 64 &&
                   (x->mnemonic == ZYDIS_MNEMONIC_SHR || x->mnemonic == ZYDIS_MNEMONIC_SAR ||
                    x->mnemonic == ZYDIS_MNEMONIC_SHL)) {
                step_shift(h, x);
                if (k + 1 < w->f->n_ops && is_condition(x + 1))
                        take(w, h);
        } else if (x->mnemonic == ZYDIS_MNEMONIC_BT && x->has_imm) {
                if (h->bits)
                        take_bits(w, UINT64_C(1) << (x->imm & 63), h->shift);
        } else if (x->kind == OP_CMP && (x->has_imm || x->dst == x->src)) {
                step_test(w, h, k);
        } else if (x->has_imm && (x->kind == OP_ADD || x->kind == OP_SUB ||
                                  x->mnemonic == ZYDIS_MNEMONIC_OR || x->mnemonic == ZYDIS_MNEMONIC_XOR)) {
                h->mixed = true;
        } else if (two && x->dst != x->src &&
                   (x->kind == OP_ADD || x->mnemonic == ZYDIS_MNEMONIC_OR ||
                    x->mnemonic == ZYDIS_MNEMONIC_XOR)) {
                *h = put_together(w, *h, held[x->src]);
        } else {
                return false;
        }
        return true;
}

static void step(Walk *w, Held *held, uint32_t k) {
        const Op *x = &w->f->ops[k];

        if (x->kind == OP_MOV && x->has_mem && x->mem_first && x->src >= 0 && held[x->src].bits &&
            puts_back(w, &held[x->src], k)) {
                held[x->src].stored = true;
                return;
        }
        if ((x->kind == OP_LEA || !x->has_mem) && step_register(w, held, k))
                return;
        take_registers(w, held, x->reads);
        drop_registers(held, x->writes);
}

/* What is taken of the word that registers hold, by the instructions from k on. */
static void walk(Walk *w, uint32_t k, Held *held) {
        enum { ARGUMENTS = 1 << 7 | 1 << 6 | 1 << 2 | 1 << 1 | 1 << 8 | 1 << 9, RESULT = 1 << 0 };
        const FnValues *f = w->f;

        while (k < f->n_ops) {
                const Op *x = &f->ops[k];
                unsigned holding = 0;
                uint32_t to;

                for (unsigned i = 0; i < REGISTERS; i++)
                        holding |= held[i].bits ? 1u << i : 0;
                if (!holding || x->kind == OP_STOP)
                        return;
                if (!w->left) {
                        take_registers(w, held, holding);
                        return;
                }
                w->left--;
                switch (x->kind) {
                case OP_RET:
                        take_registers(w, held, RESULT);
                        return;
                case OP_CALL:
                        for (unsigned i = 0; i < REGISTERS; i++)
                                if (held[i].stored)
                                        holding &= ~(1u << i); /* left over */
                        take_registers(w, held, holding & (ARGUMENTS | x->reads));
                        drop_registers(held, CALLER_SAVED);
                        break;
                case OP_JMP:
                case OP_JCC:
                        to = x->target ? values_op_at(f, x->target) : (uint32_t)NO_OP;
                        if (to == NO_OP) {
                                take_registers(w, held, holding);
                        } else if (x->kind == OP_JCC) {
                                Held there[REGISTERS];

                                memcpy(there, held, sizeof(there));
                                walk(w, to, there);
                        }
                        if (x->kind == OP_JMP) {
                                if (to == NO_OP)
                                        return;
                                k = to;
                                continue;
                        }
                        break;
                default:
                        step(w, held, k);
                        break;
                }
                k++;
        }
}

static void follow(Ranges *r, const FnValues *f, uint32_t from, int reg, bool mixed, const Access *word) {
        Walk w = { r, f, word, REACH };
        Held held[REGISTERS] = { 0 };

        held[reg] = (Held){ .bits = low_bits(word->width * 8U), .mixed = mixed };
        walk(&w, from, held);
}

static void collect(Judge *j, const FnValues *f, Ranges *r) {
        for (size_t i = 0; i < f->n_accesses; i++) {
                const Access *a = &f->accesses[i];
                const Op *op = &f->ops[a->op];
                unsigned low, width;
                Need need = { a->at, a->width, a->class, a->flags, false, false };
                size_t before = r->all.n, parts = r->parts;

                if (a->class != CLASS_INT || a->width > 8 || a->at.root == ROOT_NONE ||
                    a->at.root == ROOT_CONFLICT || !(a->flags & ACCESS_READ) || (a->flags & ACCESS_WRITE))
                        continue;
                if ((op->kind == OP_MOV || op->kind == OP_ADD) && !op->mem_first && op->dst >= 0)
                        follow(r, f, a->op + 1, op->dst, op->kind == OP_ADD, a);
                else if (op->mnemonic == ZYDIS_MNEMONIC_TEST && op->has_imm &&
                         mask_bits(op->imm, a->width, &low, &width))
                        add(r, a, low, width);
                else if (takes_one(op))
                        add(r, a, (unsigned)(op->imm & 63), 1);
                else
                        add_all(r, a);
                if (r->parts > parts && place_free(j, &need)) {
                        r->all.n = before;
                        r->parts = parts;
                }
        }
}

/* Of numbers that the function was given: compilers hand the word that fields are in to small functions, in
 * place of the object. `ask`: only where a caller has them out of an object. (The stride tells the number
 * from what lies where it points to.) */
static void collect_given(Judge *j, const FnValues *f, bool ask, Ranges *r) {
        static const int8_t registers[VALUES_MAX_ARGS] = { 7, 6, 2, 1, 8, 9 };
        uint32_t first = values_op_at(f, f->code->functions[f->function].addr);

        for (unsigned i = 0; i < VALUES_MAX_ARGS && first != NO_OP; i++) {
                Access word = { .at = { .root = values_param(j->w, i), .stride = UINT32_MAX }, .width = 8 };
                size_t before = r->all.n, parts = r->parts;

                follow(r, f, first, registers[i], false, &word);
                if (ask && r->parts > parts && !given_from_object(j, f, i)) {
                        r->all.n = before;
                        r->parts = parts;
                }
        }
}

static bool takes(const Ranges *r, const Range *like) {
        for (size_t i = 0; i < r->all.n; i++)
                if (r->all.items[i].root == like->root && r->all.items[i].stride == like->stride &&
                    (r->all.items[i].all
                             ? r->all.items[i].bit <= like->bit &&
                                       like->bit + like->width <= r->all.items[i].bit + r->all.items[i].width
                             : r->all.items[i].bit == like->bit && r->all.items[i].width == like->width))
                        return true;
        return false;
}

void judge_bits(Judge *j, const PairView *p) {
        Ranges old = { 0 }, new = { 0 };
        bool moved = false;

        collect(j, p->new, &new);
        collect_given(j, p->new, true, &new);
        if (new.parts) {
                collect(j, p->old, &old);
                collect_given(j, p->old, false, &old);
        }
        for (size_t i = 0; i < new.all.n &&new.parts && !moved; i++) {
                const Range *b = &new.all.items[i];
                char what[200];

                if (b->all || takes(&old, b))
                        continue;
                for (size_t k = 0; k < old.all.n && !moved; k++) {
                        const Range *a = &old.all.items[k];

                        if (a->all || a->root != b->root || a->stride != b->stride || a->width != b->width ||
                            value_distance(a->bit, b->bit) >= 64 || takes(&new, a))
                                continue;
                        values_print(j->w, b->root, what, sizeof(what));
                        judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                                  "%u bits at bit %" PRId64
                                  " of %s are no longer taken, but those at bit %" PRId64 " are",
                                  b->width, a->bit, what, b->bit);
                        moved = true;
                }
        }
        vec_free(&old.all);
        vec_free(&new.all);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <string.h>

/*
 * Constants that shift together. When a value is put into the middle of an enumeration, those above
 * it move by one: compares and stores of several constants, or of one in several functions, all
 * differ by the same small amount, and the entries of jump tables move along.
 */

static bool equality(const FnValues *f, uint32_t op) {
        for (uint32_t i = op + 1; i < f->n_ops && i < op + 4; i++) {
                switch (f->ops[i].mnemonic) {
                case ZYDIS_MNEMONIC_JZ:
                case ZYDIS_MNEMONIC_JNZ:
                case ZYDIS_MNEMONIC_SETZ:
                case ZYDIS_MNEMONIC_SETNZ:
                case ZYDIS_MNEMONIC_CMOVZ:
                case ZYDIS_MNEMONIC_CMOVNZ:
                        return true;
                default:
                        break;
                }
                if (f->ops[i].kind == OP_JCC || f->ops[i].kind == OP_CMP || f->ops[i].kind == OP_CALL)
                        return false;
        }
        return false;
}

/* The same bits of a mask, further up or down; clearing masks count by the bits that they clear. */
static bool mask_moved(const Op *a, const Op *b) {
        uint64_t all = a->size >= 8 ? UINT64_MAX : (UINT64_C(1) << (a->size * 8)) - 1;
        uint64_t x = (uint64_t)a->imm & all, y = (uint64_t)b->imm & all;

        if (a->kind == OP_AND && a->imm < 0 && b->imm < 0) {
                x = ~x & all;
                y = ~y & all;
        }
        if (x && y && !(x & y))
                return true; /* other bits altogether */
        for (unsigned k = 1; k < 32 && x && y; k++)
                if (((x << k) & all) == y || ((y << k) & all) == x)
                        return true;
        return false;
}

/* The mask is of one bit, or clears one. */
static bool one_bit(const Op *op) {
        uint64_t all = op->size >= 8 ? UINT64_MAX : (UINT64_C(1) << (op->size * 8)) - 1;
        uint64_t x = (uint64_t)(op->kind == OP_AND && op->imm < 0 ? ~op->imm : op->imm) & all;

        return x && !(x & (x - 1));
}

/* What the register holds at the op, or what the op touches, lies in an old object, or was loaded from there
 * a few instructions before. */
static bool from_object(const Judge *j, const FnValues *f, uint32_t op, int8_t reg) {
        enum { REACH = 12 };

        for (uint32_t i = op; i + REACH > op; i--) {
                const Op *x = &f->ops[i];

                if (i == op ? x->has_mem && x->kind != OP_LEA && x->kind != OP_CALL
                            : reg >= 0 && (x->writes & (1u << reg))) {
                        size_t n;
                        const Access *a = accesses_of_op(f, i, &n);

                        for (size_t k = 0; k < n; k++) {
                                Need need = { a[k].at, a[k].width, a[k].class, a[k].flags, false, false };

                                if (!place_free(j, &need))
                                        return true;
                        }
                        if (x->has_mem || x->kind != OP_MOV || x->src < 0)
                                return false;
                        reg = x->src;
                }
                if (i == 0)
                        break;
        }
        return false;
}

bool given_from_object(Judge *j, const FnValues *f, unsigned which) {
        static const int8_t registers[VALUES_MAX_ARGS] = { 7, 6, 2, 1, 8, 9 };
        enum { MAX_CALLERS = 12 };
        const CallRef *c;
        size_t n = callers_of(j, SIDE_NEW, f->function, &c);

        for (size_t i = 0; i < n && i < MAX_CALLERS; i++) {
                const FnValues *g;

                if (i && c[i].caller == c[i - 1].caller)
                        continue;
                g = values_of(j->w, SIDE_NEW, c[i].caller);
                for (size_t k = 0; k < g->n_calls; k++)
                        if (g->calls[k].target == f->function &&
                            from_object(j, g, g->calls[k].op, registers[which]))
                                return true;
        }
        return false;
}

/* The op works on what an old object holds; `reg`: the register, where it works on one. */
bool value_of_object(Judge *j, const FnValues *f, uint32_t op, int8_t reg) {
        uint32_t root = f->op_value[op].root;
        const Node *given;

        if (from_object(j, f, op, reg))
                return true;
        if (root < ROOT_FIRST || root == (uint32_t)VALUE_UNSET)
                return false;
        given = values_node(j->w, root);
        return given->kind == NODE_PARAM && given->off < VALUES_MAX_ARGS &&
               given_from_object(j, f, (unsigned)given->off);
}

/* How often the function holds that place against that number by that instruction. */
static size_t held(const FnValues *f, const Op *like, const Access *place) {
        size_t count = 0;

        for (uint32_t i = 0; i < f->n_ops; i++) {
                const Op *op = &f->ops[i];
                const Access *a;
                size_t n;

                if (op->mnemonic != like->mnemonic || !op->has_imm || op->imm != like->imm || !op->has_mem)
                        continue;
                a = accesses_of_op(f, i, &n);
                count += n == 1 && value_equal(a->at, place->at) && a->width == place->width;
        }
        return count;
}

/* The new instruction is about another place, and the old place is held against the old number as before. */
static bool other_place(const PairView *p, uint32_t new_op) {
        size_t n, m;
        const Access *a = accesses_of_op(p->old, p->partner[new_op], &n),
                     *b = accesses_of_op(p->new, new_op, &m);
        const Op *old = &p->old->ops[p->partner[new_op]];

        return n == 1 && m == 1 && old->has_mem && a->at.root != ROOT_NONE && a->at.root != ROOT_CONFLICT &&
               !value_equal(a->at, b->at) && held(p->new, old, a) >= held(p->old, old, a);
}

/* What the old function holds against that number, the new one holds against it as often as before: another
 * number came in, and the pairing is a mistake. */
static bool still_held(const PairView *p, uint32_t new_op) {
        const Op *like = &p->old->ops[p->partner[new_op]];
        Value with = p->old->op_value[p->partner[new_op]];
        size_t old = 0, new = 0;

        for (uint32_t i = 0; i < p->old->n_ops; i++)
                old += p->old->ops[i].mnemonic == like->mnemonic && p->old->ops[i].has_imm &&
                       p->old->ops[i].imm == like->imm && p->old->op_value[i].root == with.root;
        for (uint32_t i = 0; i < p->new->n_ops; i++)
                new += p->new->ops[i].mnemonic == like->mnemonic && p->new->ops[i].has_imm &&
                       p->new->ops[i].imm == like->imm && p->new->op_value[i].root == with.root;
        return new >= old;
}

static bool text_of_length(const Image *image, uint64_t addr, int64_t length) {
        const uint8_t *b =
                length > 0 && length < ENUM_MAX ? image_bytes(image, addr, (uint64_t)length + 1) : NULL;

        return b && !b[length] && !memchr(b, 0, (size_t)length);
}

/* The two numbers are the lengths of texts whose addresses paired instructions load right beside. */
static bool text_lengths(const Judge *j, const PairView *p, uint32_t new_op) {
        enum { REACH = 6 };
        int64_t old = p->old->ops[p->partner[new_op]].imm, new = p->new->ops[new_op].imm;

        for (uint32_t i = new_op > REACH ? new_op - REACH : 0; i < p->new->n_ops &&i <= new_op + REACH; i++) {
                const Op *a, *b = &p->new->ops[i];

                if (p->how[i] == PAIR_NONE || b->kind != OP_LEA || !b->rip)
                        continue;
                a = &p->old->ops[p->partner[i]];
                if (a->kind == OP_LEA && a->rip &&
                    place_of(j->d->old, (uint64_t)a->disp).kind == PLACE_CONST &&
                    place_of(j->d->new, (uint64_t)b->disp).kind == PLACE_CONST &&
                    text_of_length(j->d->old_image, (uint64_t)a->disp, old) &&
                    text_of_length(j->d->new_image, (uint64_t)b->disp, new))
                        return true;
        }
        return false;
}

static bool masks(const Op *op) {
        return op->mnemonic == ZYDIS_MNEMONIC_AND || op->mnemonic == ZYDIS_MNEMONIC_OR ||
               op->mnemonic == ZYDIS_MNEMONIC_TEST || op->mnemonic == ZYDIS_MNEMONIC_XOR;
}

void collect_constants(Judge *j, const PairView *p) {
        for (uint32_t i = 0; i < p->new->n_ops; i++) {
                const Op *b = &p->new->ops[i], *a;
                bool stores, near, equal;
                Value at = p->new->op_value[i];

                if (p->how[i] != PAIR_SHAPE || !b->has_imm)
                        continue;
                a = &p->old->ops[p->partner[i]];
                if (a->imm != b->imm && (other_place(p, i) || text_lengths(j, p, i)))
                        continue;
                if (a->imm != b->imm && masks(b) && mask_moved(a, b))
                        vec_push(&j->shifts,
                                 (ConstShift){ .match = j->match,
                                               .old = a->imm,
                                               .new = b->imm,
                                               .bits = true,
                                               .kept = one_bit(a) && one_bit(b) && !old_number(p, b) &&
                                                       value_of_object(j, p->new, i, b->dst) });
                if (a->imm != b->imm &&
                    (b->mnemonic == ZYDIS_MNEMONIC_SHR || b->mnemonic == ZYDIS_MNEMONIC_SAR))
                        vec_push(&j->shifts,
                                 (ConstShift){ .match = j->match, .bits = true }); /* counts beside a mask */
                if (a->imm == b->imm)
                        continue;
                near = value_distance(a->imm, b->imm) <= ENUM_DELTA && value_distance(a->imm, 0) <= ENUM_MAX;
                stores = b->kind == OP_MOV && b->has_mem && b->mem_first;
                if (!stores && (b->kind != OP_CMP || b->mnemonic != ZYDIS_MNEMONIC_CMP))
                        continue;
                /* A number far from the old one is no place in an enumeration that moved; it may be another
                 * mark that objects bear. */
                if (!near && (stores || !equality(p->new, i) || old_number(p, b) || still_held(p, i) ||
                              !value_of_object(j, p->new, i, b->dst)))
                        continue;
                if (stores) {
                        /* to the stack: a local variable, or an argument */
                        bool own = true;

                        for (size_t k = 0; k < p->new->n_accesses &&own; k++)
                                if (p->new->accesses[k].op == i &&
                                    !values_is_own(j->w, p->new->accesses[k].at.root))
                                        own = false;
                        if (own)
                                continue;
                } else if (at.root == ROOT_STACK && !b->has_mem) {
                        continue;
                }
                equal = stores || equality(p->new, i);
                vec_push(&j->shifts,
                         (ConstShift){ .match = j->match,
                                       .old = a->imm,
                                       .new = b->imm,
                                       .equality = equal,
                                       .limit = !equal &&value_of_object(j, p->new, i, b->dst),
                                       .kept = equal && (!near || (a->imm > 0 && b->imm > 0)) &&
                                               !old_number(p, b) && value_of_object(j, p->new, i, b->dst) });
        }
}

void judge_constants(Judge *j) {
        const ConstShift *mask = NULL;
        size_t bits = 0;
        bool said = false;

        for (size_t i = 0; i < j->shifts.n; i++) {
                const ConstShift *s = &j->shifts.items[i];
                size_t equal = s->equality, all = 1;
                bool several = false, first = true;

                if (s->kept) {
                        j->subject = j->d->new->functions[j->d->matches[s->match].new].name;
                        j->of_subject = 0;
                        judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                                  "what an old object holds is held against 0x%" PRIx64
                                  " instead of 0x%" PRIx64 ": old objects may hold the old number",
                                  (uint64_t)s->new, (uint64_t)s->old);
                        continue;
                }
                if (s->bits) {
                        bits++;
                        if (s->old || s->new)
                                mask = s;
                        if (bits >= 2 && mask && !said) {
                                said = true;
                                s = mask;
                                j->subject = j->d->new->functions[j->d->matches[s->match].new].name;
                                j->of_subject = 0;
                                judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                                          "several masks moved (0x%" PRIx64 " is now 0x%" PRIx64
                                          "), as if bit fields had changed",
                                          (uint64_t)s->old, (uint64_t)s->new);
                        }
                        continue;
                }
                for (size_t k = 0; k < j->shifts.n; k++) {
                        const ConstShift *t = &j->shifts.items[k];

                        if (k == i || t->bits || t->new - t->old != s->new - s->old)
                                continue;
                        if (k < i)
                                first = false;
                        equal += t->equality ||
                                 (s->limit && t->limit && t->match == s->match && t->old != s->old);
                        all++;
                        several = several || t->old != s->old || t->match != s->match;
                }
                if (!first || !several || (equal < 2 && (all < 3 || equal == 0)))
                        continue;
                j->subject = j->d->new->functions[j->d->matches[s->match].new].name;
                j->of_subject = 0;
                judge_add(j, REFUSAL_CODE_LAYOUT_SHIFT,
                          "%zu constants that are compared or stored moved by %+" PRId64 " (%" PRId64
                          " is now %" PRId64 "), as if an enumeration had changed",
                          all, s->new - s->old, s->old, s->new);
        }
}

bool table_entry(const FnValues *f, const JumpTable *t, uint32_t i, uint64_t *target) {
        const uint8_t *b = image_bytes(f->code->image, t->addr + (uint64_t)i * (t->relative ? 4 : 8),
                                       t->relative ? 4 : 8);
        int32_t word;

        if (!b)
                return false;
        if (t->relative) {
                memcpy(&word, b, 4);
                *target = t->base + (uint64_t)(int64_t)word;
        } else {
                memcpy(target, b, 8);
        }
        return true;
}

/* A few straight instructions that do the same and end in the same place: those of small cases that
 * differ in a constant only, which the aligner may take for one another. */
static bool same_case(Judge *j, const PairView *p, uint32_t old, uint32_t new) {
        enum { CASE_OPS = 12 };

        for (uint32_t n = 0; n < CASE_OPS && old + n < p->old->n_ops && new + n < p->new->n_ops; n++) {
                const Op *a = &p->old->ops[old + n], *b = &p->new->ops[new + n];

                if (!shape_equal(a, b) || a->imm != b->imm || (!a->rip && a->disp != b->disp) ||
                    a->kind == OP_CALL || a->kind == OP_JCC)
                        return false;
                if (a->rip && (place_of(j->d->old, (uint64_t)a->disp).kind != PLACE_CONST ||
                               place_of(j->d->new, (uint64_t)b->disp).kind != PLACE_CONST ||
                               !pointees_same(j->d, (uint64_t)a->disp, (uint64_t)b->disp)))
                        return false;
                if (a->kind == OP_RET)
                        return true;
                if (a->kind == OP_JMP) {
                        uint32_t x = a->target ? values_op_at(p->old, a->target) : NO_OP,
                                 y = b->target ? values_op_at(p->new, b->target) : NO_OP;

                        return n > 0 && x != NO_OP && y != NO_OP && p->partner[y] == x;
                }
        }
        return false;
}

/* Where a new table's entries lead is where the old ones did, one or more places further on. */
static void compare_tables(Judge *j, const PairView *p, const JumpTable *a, const JumpTable *b) {
        enum { MAX_ENTRIES = 512, REACH = 4 };
        size_t stay = 0, moved[2 * REACH + 1] = { 0 };
        uint32_t n = MIN(a->n, MAX_ENTRIES), m = MIN(b->n, MAX_ENTRIES);
        uint32_t *to = calloc((size_t)n + 1, sizeof(*to)), *from = calloc((size_t)n + 1, sizeof(*from));

        if (!to || !from)
                abort();
        for (uint32_t i = 0; i < n; i++) {
                uint64_t target = 0;
                uint32_t op = table_entry(p->old, a, i, &target) ? values_op_at(p->old, target) : NO_OP;

                from[i] = op;
                to[i] = op == NO_OP ? NO_OP : p->old_partner[op];
        }
        for (uint32_t k = 0; k < m; k++) {
                uint64_t target = 0;
                uint32_t op = table_entry(p->new, b, k, &target) ? values_op_at(p->new, target) : NO_OP;

                if (op == NO_OP ||
                    (k < n && (to[k] == op || (from[k] != NO_OP && same_case(j, p, from[k], op))))) {
                        stay++;
                        continue;
                }
                for (int d = -REACH; d <= REACH; d++) {
                        int64_t i = (int64_t)k - d;

                        if (d && i >= 0 && i < n && to[i] == op)
                                moved[d + REACH]++;
                }
        }
        for (int d = -REACH; d <= REACH; d++)
                if (d && moved[d + REACH] >= 2 && moved[d + REACH] * 2 > m - stay) {
                        judge_add(
                                j, REFUSAL_CODE_LAYOUT_SHIFT,
                                "%zu entries of a jump table moved by %+d, as if an enumeration had changed",
                                moved[d + REACH], d);
                        break;
                }
        free(to);
        free(from);
}

void judge_tables(Judge *j, const PairView *p) {
        for (size_t k = 0; k < p->new->n_tables; k++)
                for (size_t i = 0; i < p->old->n_tables; i++)
                        if (p->partner[p->new->tables[k].op] == p->old->tables[i].op)
                                compare_tables(j, p, &p->old->tables[i], &p->new->tables[k]);
}

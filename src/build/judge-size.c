/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <inttypes.h>

/*
 * Sizes: what changed functions allocate, clear, copy and compare. Calls of the same function are
 * paired, by alignment where that says so and by order otherwise, and their size arguments compared.
 * A function that hands a parameter on to an allocator as a size is an allocator too.
 */

enum { MAX_SIZE_DEPTH = 4, SMALL_FIX = 4 };

static const Known *known_of(const Judge *j, uint32_t callee) {
        const Node *n = values_node(j->w, callee);

        return callee >= ROOT_FIRST && n->kind == NODE_FUNCTION ? n->known : NULL;
}

static bool allocates(const Known *k) {
        return k && k->sizes && ((k->flags & (KNOWN_FRESH | KNOWN_FREE)) || (k->dest < 0));
}

/* Which arguments of an old function become the size of an allocation. */
static uint8_t size_mask(Judge *j, uint32_t function, unsigned depth) {
        const FnValues *f;
        uint8_t mask = 0;

        if (j->size_known[function])
                return j->size_masks[function];
        if (depth > MAX_SIZE_DEPTH)
                return 0;
        j->size_known[function] = true; /* recursion ends here */
        j->size_masks[function] = 0;
        if (j->d->old->functions[function].n_insns > 4000)
                return 0;
        f = values_of(j->w, SIDE_OLD, function);
        for (size_t k = 0; k < f->n_calls; k++) {
                const CallSite *c = &f->calls[k];
                const Known *known = known_of(j, c->callee);
                uint8_t inner = known ? (allocates(known) ? known->sizes : 0)
                                : c->target != NO_TARGET && c->target != function
                                        ? size_mask(j, c->target, depth + 1)
                                        : 0;

                for (unsigned i = 0; i < VALUES_MAX_ARGS; i++) {
                        const Node *n = values_node(j->w, c->args[i].root);

                        if ((inner & (1u << i)) && c->args[i].root >= ROOT_FIRST && n->kind == NODE_PARAM &&
                            n->off < VALUES_MAX_ARGS)
                                mask |= (uint8_t)(1u << n->off);
                }
        }
        j->size_masks[function] = mask;
        return mask;
}

static const char *callee_name(const Judge *j, uint32_t callee) {
        const Node *n = values_node(j->w, callee);

        return callee >= ROOT_FIRST && n->kind == NODE_FUNCTION ? n->name : "a function";
}

/* Whether a size that differs between two calls of one function means that an object has another size. */
static bool size_matters(const Judge *j, const Known *known, const CallSite *new, unsigned i, Value a,
                         Value b) {
        bool copies = known && !allocates(known);

        if (value_equal(a, b))
                return false;
        if (a.root != b.root || (a.root == ROOT_NONE && (a.stride == 0) != (b.stride == 0)))
                return false; /* computed in another way: a bound was added or taken away */
        /* a product of which fewer factors are known: the count is computed in another way */
        if (a.root == ROOT_NONE && b.stride && a.stride % b.stride == 0 && a.off == b.off)
                return false;
        if (copies) {
                bool constant = false;

                if (!value_is_const(a) && a.stride <= 1 && b.stride <= 1)
                        return false;

                for (unsigned k = 0; k < VALUES_MAX_ARGS && k < 4; k++)
                        if (k != i && value_read_only(j, new->args[k]))
                                constant = true;
                if (constant)
                        return false; /* a literal has another length */
                /* a buffer on the stack belongs to this call alone; what is copied into it may not */
                if (known->dest >= 0 && values_is_own(j->w, new->args[known->dest].root) &&
                    !((known->flags & KNOWN_SAME) && new->args[1].root != ROOT_NONE &&
                      !values_is_own(j->w, new->args[1].root)))
                        return false;
        }
        /* n + 1 that became n + 2: room for a terminator */
        if ((a.root != ROOT_NONE || a.stride == 1) && a.stride == b.stride &&
            value_distance(a.off, b.off) < SMALL_FIX)
                return false;
        return true;
}

/* The arguments of a call that are sizes. Asked where two calls differ: to know it of a function of the
 * image, what it calls is followed. */
static uint8_t sizes_of(Judge *j, const CallSite *old, const CallSite *new) {
        const Known *known = known_of(j, new->callee);

        return known ? known->sizes : old->target != NO_TARGET ? size_mask(j, old->target, 0) : 0;
}

static void compare_sizes(Judge *j, const CallSite *old, const CallSite *new) {
        const Known *known = known_of(j, new->callee);

        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++) {
                Value a = old->args[i], b = new->args[i];

                if (!size_matters(j, known, new, i, a, b) || !(sizes_of(j, old, new) & (1u << i)))
                        continue;
                if (a.stride > 1 && a.stride == b.stride)
                        judge_add(j, REFUSAL_CODE_ALLOCATION_SIZE,
                                  "the size given to %s: %" PRId64
                                  " bytes beside elements of %u are now %" PRId64,
                                  callee_name(j, new->callee), a.off, a.stride, b.off);
                else if (a.stride > 1 || b.stride > 1)
                        judge_add(j, REFUSAL_CODE_ALLOCATION_SIZE,
                                  "the size given to %s: elements of %u bytes are now of %u",
                                  callee_name(j, new->callee), a.stride, b.stride);
                else
                        judge_add(j, REFUSAL_CODE_ALLOCATION_SIZE,
                                  "the size given to %s: %s%" PRId64 " is now %" PRId64,
                                  callee_name(j, new->callee),
                                  a.root == ROOT_NONE && !a.stride ? "" : "the added ", a.off, b.off);
        }
}

/* True when the sizes are the same, so that the two calls are each other's. */
static bool same_sizes(Judge *j, const CallSite *old, const CallSite *new) {
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                if (!value_equal(old->args[i], new->args[i]) && (sizes_of(j, old, new) & (1u << i)))
                        return false;
        return true;
}

/* The address of something inside an object is given away: the old code must have known that place. */
static void judge_interior(Judge *j, const PairView *p, const CallSite *c) {
        const Known *known = known_of(j, c->callee);
        const FnValues *callee = NULL;

        if (!known && (c->target == NO_TARGET))
                return;
        if (!known && !(values_node(j->w, c->callee)->off & (ADDED_FUNCTION | SYMBOL_FUNCTION)))
                callee = values_of(j->w, SIDE_OLD, (uint32_t)values_node(j->w, c->callee)->off);
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++) {
                Value v = c->args[i];
                Need need = { v, 1, CLASS_INT, ACCESS_READ | ACCESS_BITS, false, false };
                bool used = known && ((known->strings & (1u << i)) || known->dest == (int)i), found = false;
                size_t n;
                const Access *o;
                char what[200];

                if (v.root == ROOT_NONE || v.root == ROOT_IMAGE || v.root == ROOT_THREAD ||
                    v.root == ROOT_CONFLICT || v.off == 0 || place_free(j, &need))
                        continue;
                if (callee && !callee->incomplete) {
                        places_of_root(callee, values_param(j->w, i), &n);
                        used = n > 0;
                }
                if (!used)
                        continue;
                for (size_t k = 0; k < p->old->n_calls && !found; k++)
                        for (unsigned a = 0; a < VALUES_MAX_ARGS && !found; a++)
                                found = value_equal(p->old->calls[k].args[a], v);
                if (found)
                        continue;
                if (callee && !callee->incomplete) {
                        /* what the callee touches, as if it were touched here */
                        o = places_of_root(callee, values_param(j->w, i), &n);
                        found = true;
                        for (size_t k = 0; k < n && found; k++) {
                                need = (Need){ { v.root, o[k].at.stride ? o[k].at.stride : v.stride,
                                                 v.off + o[k].at.off, 0 },
                                               o[k].width,
                                               o[k].class,
                                               o[k].flags,
                                               false,
                                               false };
                                found = testify(j, p->old_function, p->new, &need);
                        }
                } else {
                        /* bytes: known as such, or as vectors of them (cleared or copied as a whole) */
                        need.at.stride = 1;
                        need.flags = ACCESS_READ;
                        found = testify(j, p->old_function, p->new, &need);
                        need.at.stride = 0;
                        need.width = 16;
                        need.class = CLASS_VECTOR;
                        found = found || testify(j, p->old_function, p->new, &need);
                }
                if (found)
                        continue;
                values_print(j->w, v.root, what, sizeof(what));
                judge_add(j, REFUSAL_CODE_LAYOUT_UNPROVED,
                          "gives %s the address %s0x%" PRIx64 " of %s, where the old code never was",
                          callee_name(j, c->callee), v.off < 0 ? "-" : "+", value_distance(v.off, 0), what);
        }
}

void judge_sizes(Judge *j, const PairView *p) {
        size_t n = p->old->n_calls, m = p->new->n_calls;
        bool *used = calloc(n + 1, 1), *done = calloc(m + 1, 1);

        if (!used || !done)
                abort();
        /* aligned calls of the same function */
        for (size_t k = 0; k < m; k++)
                for (size_t i = 0; i < n && !done[k]; i++) {
                        const CallSite *a = &p->old->calls[i], *b = &p->new->calls[k];

                        if (used[i] || a->callee != b->callee || p->partner[b->op] != a->op)
                                continue;
                        compare_sizes(j, a, b);
                        used[i] = done[k] = true;
                }
        /* the rest: first those with equal sizes, then in order */
        for (int round = 0; round < 2; round++)
                for (size_t k = 0; k < m; k++)
                        for (size_t i = 0; i < n && !done[k]; i++) {
                                const CallSite *a = &p->old->calls[i], *b = &p->new->calls[k];

                                if (used[i] || a->callee != b->callee || a->callee == ROOT_NONE ||
                                    (round == 0 && !same_sizes(j, a, b)))
                                        continue;
                                if (round == 1)
                                        compare_sizes(j, a, b);
                                used[i] = done[k] = true;
                        }
        free(used);
        free(done);
        for (size_t k = 0; k < m; k++)
                if (p->how[p->new->calls[k].op] != PAIR_SAME || !pair_flanked(p, p->new->calls[k].op))
                        judge_interior(j, p, &p->new->calls[k]);
}

/* The register that `mov r32, imm32` at the instruction loads; -1 when it is something else. */
static int loaded_register(const Code *code, const Insn *insn) {
        const uint8_t *b = image_bytes(code->image, insn_addr(code, insn), insn->length);

        if (!b || (insn->flags & INSN_REF))
                return -1;
        if (insn->length == 5 && b[0] >= 0xb8 && b[0] <= 0xbf)
                return b[0] - 0xb8;
        return insn->length == 6 && b[0] == 0x41 && b[1] >= 0xb8 && b[1] <= 0xbf ? b[1] - 0xb8 + 8 : -1;
}

int argument_of(const Code *code, uint32_t insn, int reg, uint64_t *target) {
        static const int8_t argument[16] = { -1, 3, 2, -1, -1, -1, 1, 0, 4, 5, -1, -1, -1, -1, -1, -1 };
        enum { REACH = 16 };

        if (argument[reg] < 0)
                return -1;
        for (uint32_t i = insn + 1; i < insn + REACH && i < code->n_insns; i++) {
                const Insn *x = &code->insns[i];
                Op op;

                if (values_decode_one(code, insn_addr(code, x), &op) < 0)
                        return -1;
                if (op.kind == OP_CALL ||
                    (op.kind == OP_JMP && op.target && code_part_start(code, op.target))) {
                        *target = op.target;
                        return op.target ? argument[reg] : -1;
                }
                if (op.kind == OP_JMP || op.kind == OP_JCC || op.kind == OP_RET || op.kind == OP_STOP ||
                    ((op.reads | op.writes) & (1u << reg)))
                        return -1;
        }
        return -1;
}

bool only_arguments(Judge *j, const Match *m, const Alignment *al) {
        for (size_t i = 0; i < al->n;) {
                size_t n = 0, k = i, half;

                if (al->pairs[i].old != UINT32_MAX && al->pairs[i].new != UINT32_MAX) {
                        i++;
                        continue;
                }
                /* a gap: so many old instructions, then as many new ones */
                while (k < al->n && al->pairs[k].new == UINT32_MAX)
                        k++;
                half = k - i;
                while (k < al->n && al->pairs[k].old == UINT32_MAX)
                        k++, n++;
                if (half == 0 || n != half)
                        return false;
                for (size_t x = 0; x < half; x++) {
                        uint32_t a = al->pairs[i + x].old, b = al->pairs[i + half + x].new, to, root;
                        int reg = loaded_register(j->d->old, &j->d->old->insns[a]), argument;
                        uint64_t target;
                        const Known *known;

                        if (reg < 0 || reg != loaded_register(j->d->new, &j->d->new->insns[b]))
                                return false;
                        argument = argument_of(j->d->new, b, reg, &target);
                        if (argument < 0)
                                return false;
                        root = values_callee_at(j->w, SIDE_NEW, target, &to);
                        if (root == ROOT_NONE)
                                return false;
                        known = values_node(j->w, root)->known;
                        if (known ? known->sizes & (1u << argument)
                                  : to != NO_TARGET &&
                                            (values_node(j->w, root)->off & ADDED_FUNCTION ||
                                             size_mask(j, (uint32_t)values_node(j->w, root)->off, 0) &
                                                     (1u << argument)))
                                return false;
                }
                i = k;
        }
        return true;
}

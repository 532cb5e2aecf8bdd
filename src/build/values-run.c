/* SPDX-License-Identifier: Apache-2.0 */
#include "build/values-run.h"
#include "base/macro.h"

#include <elf.h>
#include <string.h>

/* Control flow: blocks, joins, jump tables, the fixpoint. */

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
        Value at = op->has_mem ? run_address(r, s, op) : op->dst >= 0 ? s->reg[op->dst] : value_any();
        const Node *n = &r->w->nodes[at.root];

        if (op->has_mem && r->table && run_read_only(r->code->image, r->table)) {
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
        run_call(r, s, op, at, true);
        r->result = run_join(r, r->result, values_canonical(r->w, r->side, s->reg[RAX]));
}

static void run_block(Run *r, const Block *b, State *s) {
        for (uint32_t i = b->first; i < b->end; i++) {
                const Op *op = &r->ops[i];

                r->op = i;
                if (!run_step(r, s, op))
                        return;
                if (op->kind == OP_JCC) {
                        int64_t to = op_at(r, op->target);

                        if (to >= 0) {
                                flow(r, to, s);
                        } else if (r->record) {
                                State copy = { 0 };

                                state_copy(&copy, s);
                                run_call(r, &copy, op, value_any(), true);
                                free(copy.slots);
                        }
                } else if (op->kind == OP_JMP) {
                        int64_t to = op->target ? op_at(r, op->target) : -1;

                        if (to >= 0) {
                                flow(r, to, s);
                        } else if (op->target) {
                                run_call(r, s, op, value_any(), true);
                                r->result =
                                        run_join(r, r->result, values_canonical(r->w, r->side, s->reg[RAX]));
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
        bool again = false;

        for (uint32_t i = 0; i < r->n_blocks && !again; i++)
                again = r->blocks[i].visits > 1;
        if (!again)
                return;
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
                                r->orphan.reg[RSP] = (Value){ ROOT_STACK, 1, 0, 0 };
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
        if (a->at.outer != b->at.outer)
                return a->at.outer < b->at.outer ? -1 : 1;
        if (a->width != b->width)
                return a->width < b->width ? -1 : 1;
        return a->class < b->class ? -1 : a->class > b->class;
}

static int root_compare(const void *x, const void *y) {
        const uint32_t *a = x, *b = y;

        return *a < *b ? -1 : *a > *b;
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
        out->n_copied = r->copied.n;
        out->copied = arena_dup(arena, r->copied.items, r->copied.n * sizeof(Access));
        out->n_given = r->given.n;
        out->given = arena_dup(arena, r->given.items, r->given.n * sizeof(Access));
        out->n_copies = r->copies.n;
        out->copies = arena_dup(arena, r->copies.items, r->copies.n * sizeof(Copy));
        out->n_calls = r->calls.n;
        out->calls = arena_dup(arena, r->calls.items, r->calls.n * sizeof(CallSite));
        out->n_stores = r->stores.n;
        out->stores = arena_dup(arena, r->stores.items, r->stores.n * sizeof(Store));
        out->n_tables = r->tables.n;
        out->tables = arena_dup(arena, r->tables.items, r->tables.n * sizeof(JumpTable));
        out->result = r->result.root == (uint32_t)VALUE_UNSET ? value_any() : r->result;
        out->n_ends = r->ends.n;
        out->ends = arena_dup(arena, r->ends.items, r->ends.n * sizeof(WalkEnd));
        out->op_value = r->op_value;
        if (r->scaled.n)
                qsort(r->scaled.items, r->scaled.n, sizeof(uint32_t), root_compare);
        for (size_t i = 0; i < r->scaled.n; i++)
                if (!out->n_scaled || r->scaled.items[out->n_scaled - 1] != r->scaled.items[i])
                        r->scaled.items[out->n_scaled++] = r->scaled.items[i];
        out->scaled = arena_dup(arena, r->scaled.items, out->n_scaled * sizeof(uint32_t));
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
        r.callees = calloc(r.n_ops, sizeof(*r.callees));
        if (!r.callees)
                abort();
        r.block_of = vec_grow(NULL, r.n_ops, sizeof(*r.block_of));
        r.op_value = arena_newa(w->arena, Value, r.n_ops);
        for (uint32_t i = 0; i < r.n_ops; i++)
                r.op_value[i].root = (uint32_t)VALUE_UNSET;
        r.result.root = (uint32_t)VALUE_UNSET;
        find_blocks(&r);
        for (int i = 0; i < 16; i++)
                start.reg[i] = value_any();
        start.reg[RSP] = (Value){ ROOT_STACK, 0, 0, 0 };
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                start.reg[values_arg_regs[i]] = (Value){ values_param(w, i), 0, 0, 0 };
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
        record_copied(&r);
        finish(&r, out);
        for (uint32_t i = 0; i < r.n_blocks; i++)
                free(r.blocks[i].in.slots), free(r.blocks[i].next.slots);
        free(r.blocks);
        free(r.block_of);
        free(r.callees);
        free(r.ops);
        free(scratch.slots);
        free(r.orphan.slots);
        vec_free(&r.work);
        vec_free(&r.escapes);
        vec_free(&r.choices);
        vec_free(&r.accesses);
        vec_free(&r.own_reads);
        vec_free(&r.copied);
        vec_free(&r.given);
        vec_free(&r.copies);
        vec_free(&r.calls);
        vec_free(&r.tables);
        vec_free(&r.stores);
        vec_free(&r.scaled);
        vec_free(&r.ends);
}

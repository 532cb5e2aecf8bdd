/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "build/values.h"

/* One run over one function: values-state.c (registers and slots), values-memory.c (addresses, loads,
 * stores and what is recorded of them), values-step.c (instructions), values-run.c (control flow). */

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11 };
enum {
        MAX_SLOTS = 192,
        WIDEN_AFTER = 64,
        MAX_TABLE = 4096,
        ESCAPE_SPAN = 4096,
        MAX_CHOICE = 4096,
        SUMMARY_INSNS = 24,
        SUMMARY_DEPTH = 3,
        NO_BLOCK = -1
};

extern const uint8_t values_arg_regs[VALUES_MAX_ARGS];

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
        uint32_t op;   /* the call that it is named by */
        unsigned argument;
} Escape;

typedef struct Callee { /* of a direct call */
        uint32_t root, target;
        bool known;
} Callee;

typedef struct Run {
        Values *w;
        Side side;
        const Code *code;
        const Function *f;
        Op *ops;
        uint32_t n_ops;
        Callee *callees;   /* per op */
        int32_t *block_of; /* per op that starts a block; else NO_BLOCK */
        Block *blocks;
        uint32_t n_blocks;
        VEC(uint32_t) work;
        VEC(Escape) escapes;
        VEC(Value) choices; /* of old code: of two members `stride` apart, the first at `off` */
        State orphan;       /* what blocks that no known path reaches start with */
        bool has_orphan, collect, record, narrow;
        VEC(Access) accesses, own_reads, copied, given;
        VEC(Copy) copies;
        bool copies_whole; /* some object is copied as a whole to memory of its own */
        VEC(CallSite) calls;
        VEC(JumpTable) tables;
        VEC(Store) stores;
        VEC(uint32_t) scaled;
        VEC(WalkEnd) ends;
        Value result;
        Value *op_value;
        uint32_t op;
        uint64_t table; /* where the table begins that the last memory operand indexes; 0: none */
} Run;

void state_copy(State *to, const State *from);
bool state_join(Run *r, State *to, const State *from, bool widen);
uint32_t state_slot_at(const State *s, int64_t off);
void state_slots_kill(State *s, int64_t off, uint32_t width);
/* Forgets the slots in [from, to) that hold numbers. */
void state_numbers_kill(State *s, int64_t from, int64_t to);
void state_slot_set(State *s, int64_t off, uint32_t width, Value v);
Value run_join(Run *r, Value a, Value b);
Value run_global(Run *r, uint64_t addr);
bool run_own_global(const Run *r, Value v, uint64_t *addr);
bool run_read_only(const Image *image, uint64_t addr);
Value run_imm(Run *r, const Op *op);
Value run_address(Run *r, const State *s, const Op *op);
Value run_load_stack(Run *r, const State *s, Value at, uint32_t width);
Value run_load(Run *r, const State *s, Value at, uint32_t width);
void run_store(State *s, Value at, uint32_t width, Value v);
void record_place(Run *r, Value at, uint32_t width, uint8_t class, uint8_t flags);
void record_access(Run *r, Value at, uint32_t width, uint8_t class, uint8_t flags);
void record_value(Run *r, Value v);
void record_scaled(Run *r, Value v);
void record_store(Run *r, Value at, uint32_t width, Value v);
void record_strings(Run *r, const CallSite *c);
/* An object is copied to memory of the function's own (values-copy.c). */
void record_own_read(Run *r, Value at, uint32_t width, uint8_t class);
void note_copy(Run *r, Value to, Value from, int64_t size);
/* What the function reads in such copies, in terms of the objects. */
void record_copied(Run *r);
/* A call (or a tail call) of what `op` names; false when it does not return. */
bool run_call(Run *r, State *s, const Op *op, Value at, bool tail);
/* One instruction. Returns false when control does not go on to the next one. */
bool run_step(Run *r, State *s, const Op *op);

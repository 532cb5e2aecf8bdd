/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "build/diff.h"

/*
 * Where values come from. Each function is run once over its control flow with symbolic registers
 * and stack slots; what comes out is the set of places that it touches (an origin, a displacement,
 * a stride, a width), and its calls with the origins of their arguments.
 *
 * A value is `root + off + k * stride` for some integer k (stride 0: exactly root + off). ROOT_NONE
 * is the number 0, so that { ROOT_NONE, 1, 0 } is "anything". Roots other than the fixed ones are
 * indexes of nodes; equal nodes have equal indexes, and nodes mean the same on both sides: addresses
 * of the new image are turned into old ones, functions are named by the old function they match.
 * `outer` is the largest step that was added to a finer one (the row of an array of arrays); 0: none, or
 * paths do not agree.
 */
typedef struct Value {
        uint32_t root, stride;
        int64_t off;
        uint32_t outer;
} Value;

enum { ROOT_NONE, ROOT_STACK, ROOT_IMAGE, ROOT_THREAD, ROOT_CONFLICT, ROOT_FIRST };
enum { VALUE_UNSET = UINT32_MAX }; /* a root: no path has come here yet */
enum { VALUES_MAX_ARGS = 6, VALUES_MAX_INSNS = 60000, JOIN_MAX = 12, NODE_MAX_DEPTH = 8 };

typedef enum NodeKind {
        NODE_FIXED,
        NODE_PARAM,        /* off: which, from 0 */
        NODE_GLOBAL,       /* off: address in its own image; only inside one function's analysis */
        NODE_FRESH_GLOBAL, /* off: new address that no old one stands for */
        NODE_FUNCTION,     /* off: hash of a symbol, or index of an old function, or ADDED_FUNCTION | index */
        NODE_SYMBOL,       /* off: hash of a symbol: the address of an imported variable */
        NODE_LOAD,         /* what lies at a + off (+ k * stride) */
        NODE_RETURN, /* what the function `a` returned; b: root of its first argument, or ROOT_NONE; stride:
                        values_asked() of that argument */
        NODE_FRESH,  /* memory that the function `a` (an allocator) made; off: its size when constant */
        NODE_OUT,    /* what the function `a` left at its argument number off; stride: values_asked() of those
                        before it */
        NODE_SUM,    /* roots a and b added: one of them is an index */
        NODE_JOIN,   /* one of `members` */
        NODE_TABLE,  /* a 32-bit word of a read-only table at own address off */
        NODE_TARGET, /* that word plus own address b: a jump target */
} NodeKind;
#define ADDED_FUNCTION (INT64_C(1) << 40)
#define SYMBOL_FUNCTION (INT64_C(1) << 62)

typedef struct Node {
        uint8_t kind, depth;
        uint16_t n_members;
        uint32_t a, b, stride;
        int64_t off;
        const Value *members;
        const char *name;          /* of a FUNCTION; for people */
        const struct Known *known; /* of a FUNCTION: what is known of it, or NULL */
        const Value *place;        /* of a GLOBAL of the new image: what it stands for, once asked */
} Node;

typedef enum AccessClass { CLASS_INT, CLASS_FLOAT, CLASS_VECTOR } AccessClass;
enum {
        ACCESS_READ = 1,
        ACCESS_WRITE = 2,
        ACCESS_CONST = 4 /* stores a constant */,
        ACCESS_BITS = 8 /* and, or, test: a part of a word */
};

typedef struct Access {
        Value at; /* canonical */
        uint16_t width;
        uint8_t class, flags;
        uint32_t insn; /* Code.insns */
        uint32_t op;
} Access;

enum { NO_TARGET = UINT32_MAX, NO_OP = UINT32_MAX };
typedef struct CallSite {
        uint32_t insn, op;
        uint32_t callee; /* canonical root: a FUNCTION node, or where the pointer came from */
        uint32_t target; /* index of the function in its own image, or NO_TARGET */
        bool tail;
        Value args[VALUES_MAX_ARGS], result; /* canonical */
} CallSite;

typedef enum OpKind {
        OP_OTHER,
        OP_MOV,
        OP_LEA,
        OP_ADD,
        OP_SUB,
        OP_SHL,
        OP_IMUL,
        OP_AND,
        OP_ZERO,
        OP_CMOV,
        OP_XCHG,
        OP_PUSH,
        OP_POP,
        OP_LEAVE,
        OP_CALL,
        OP_JMP,
        OP_JCC,
        OP_RET,
        OP_STOP,
        OP_CMP,
        OP_STRING,
        OP_NOP,
} OpKind;

/* One instruction, reduced to what the analysis needs. Registers are 0..15 (rax, rcx, rdx, ...), -1: none. */
typedef struct Op {
        uint64_t addr;
        uint64_t target; /* of a direct branch; 0: none */
        int64_t imm, disp;
        uint32_t insn; /* Code.insns */
        uint16_t mnemonic;
        uint16_t writes, reads; /* bit masks of general registers */
        uint16_t width;         /* of the memory operand */
        uint8_t length, kind, size /* of the first operand */, class, flags;
        int8_t dst, src, base, index;
        uint8_t scale;
        bool has_mem, rip, thread, mem_first, has_imm, narrow /* the source is narrower than the result */;
} Op;

/* `size` bytes that were copied as a whole from an object to memory of the function's own. */
typedef struct Copy {
        Value to, from; /* canonical */
        uint32_t size;
} Copy;

/* A pointer that is put into memory outside of the stack. */
typedef struct Store {
        Value at, value; /* canonical */
} Store;

/* A table that an indirect jump goes through. */
typedef struct JumpTable {
        uint32_t op;
        uint64_t addr, base;
        uint32_t n;
        bool relative; /* 32-bit words, relative to base; else 64-bit addresses */
} JumpTable;

/* Two addresses of the image are held against one another: a walk along something, and where it ends. */
typedef struct WalkEnd {
        Value at, end; /* canonical */
} WalkEnd;

typedef struct FnValues {
        const Code *code;
        uint32_t function;
        Op *ops;
        uint32_t n_ops;
        Access *accesses; /* in order of ops */
        size_t n_accesses;
        Access *places; /* the same, sorted by place, flags united, without doubles */
        size_t n_places;
        Access *copied; /* what it reads in copies of objects, as if it read the objects; in order of ops */
        size_t n_copied;
        Access *given; /* reads inside of what it was given on the stack, behind the beginning of a slot */
        size_t n_given;
        Copy *copies;
        size_t n_copies;
        CallSite *calls;
        size_t n_calls;
        Store *stores;
        size_t n_stores;
        JumpTable *tables;
        size_t n_tables;
        uint32_t *scaled; /* roots of what was loaded and then multiplied, or indexes an array; sorted */
        size_t n_scaled;
        WalkEnd *ends;
        size_t n_ends;
        Value result;
        Value *op_value; /* per op: canonical value that it put into its first register, or compared; root
                            VALUE_UNSET where it was never reached */
        bool incomplete; /* too large, or not decodable: nothing is known */
} FnValues;

typedef struct Values Values;
typedef enum Side { SIDE_OLD, SIDE_NEW } Side;

Values *values_new(const Diff *d);
Values *values_free(Values *w);
const FnValues *values_of(Values *w, Side side, uint32_t function);
const Node *values_node(const Values *w, uint32_t root); /* invalid after the next call that makes nodes */
const Diff *values_diff(const Values *w);
size_t values_analysed(const Values *w); /* functions so far */
/* Index of the op at an address, or NO_OP. */
uint32_t values_op_at(const FnValues *f, uint64_t addr);

uint32_t values_param(Values *w, unsigned i);
/* The value with every occurrence of `from` in its root replaced by `to`; false when there is none. */
bool values_substitute(Values *w, Value v, uint32_t from, Value to, Value *out);
/* The value of a callee in its caller's terms: PARAM i replaced by args[i]; false when v holds
 * something that only the callee knows. */
bool values_to_caller(Values *w, Value v, const Value *args, Value *out);
/* The reverse, for what is argument i or hangs on it; false when it does not. */
bool values_to_callee(Values *w, Value v, Value arg, unsigned i, Value *out);
/* True when the root is reached from PARAM, IMAGE, functions only: it means the same in any function. */
bool values_has_param(const Values *w, uint32_t root, unsigned *which);
bool values_is_own(const Values *w, uint32_t root); /* memory that the analysed function made itself */
void values_print(const Values *w, uint32_t root, char *out, size_t size); /* for people */

/* What a call asks a function for, by its first n arguments: a hash of the numbers and variables among them,
 * by which one function may tell objects of several types. */
uint32_t values_asked(const Values *w, const Value *args, unsigned n);
/* The value is a number, the address of a variable, or hangs on one. */
bool value_tells(const Values *w, Value v);
/* The variable that the pointer hangs on. */
bool value_of_variable(const Values *w, uint32_t root, uint64_t *addr);

/* values-nodes.c */
uint32_t node_make(Values *w, const Node *key);
Value value_join(Values *w, Value a, Value b);
Value value_add(Values *w, Value a, Value b);
Value value_sub(Value a, Value b);
Value value_scale(Value a, int64_t factor);
static inline Value value_const(int64_t c) {
        return (Value){ ROOT_NONE, 0, c, 0 };
}
static inline Value value_any(void) {
        return (Value){ ROOT_NONE, 1, 0, 0 };
}
static inline bool value_equal(Value a, Value b) {
        return a.root == b.root && a.stride == b.stride && a.off == b.off && a.outer == b.outer;
}
/* How far two offsets or numbers are apart. */
static inline uint64_t value_distance(int64_t a, int64_t b) {
        return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}
/* Two indexed places whose rows are of different length. */
static inline bool value_other_rows(Value a, Value b) {
        return a.outer && b.outer && a.outer != b.outer;
}
static inline bool value_is_const(Value v) {
        return v.root == ROOT_NONE && v.stride == 0;
}

/* values-place.c: from addresses and functions of one image to names that both sides share */
Value values_canonical(Values *w, Side side, Value v);
uint32_t values_function_root(Values *w, Side side, uint32_t function);
uint32_t values_symbol_root(Values *w, const char *name);
/* The function that code at `addr` (a function or a PLT entry) stands for: a root and, when it is in
 * the image, its index. */
uint32_t values_callee_at(Values *w, Side side, uint64_t addr, uint32_t *target);

/* values-decode.c */
int values_decode(const Code *code, const Function *f, Op **ops,
                  uint32_t *n); /* malloc'ed; -EBADMSG when a byte does not decode */

/* values-clobber.c: the caller-saved registers that calling a function changes. Compilers keep values
 * in the others across calls of functions of the same unit. */
enum { CALLER_SAVED = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 };
uint16_t values_clobbers(Values *w, Side side, uint32_t function);

int values_decode_one(const Code *code, uint64_t addr, Op *op);
/* What an instruction does with the variable that it refers to. */
typedef enum VariableUse { USE_READ, USE_SET, USE_COUNT /* from what it was */, USE_ADDRESS } VariableUse;
VariableUse variable_use(const Code *code, const Ref *r);

/* values-run.c: the analysis itself; results in the arena */
void values_run(Values *w, Side side, uint32_t function, FnValues *out);

/* values-known.c: what is known of functions by name */
typedef struct Known {
        const char *name;
        uint8_t sizes;   /* bit i: argument i is a size */
        int8_t dest;     /* argument that points to what the size measures; -1: the result */
        uint8_t strings; /* bit i: argument i points to bytes or characters that are walked through */
        uint16_t flags;  /* KNOWN_* */
} Known;
enum {
        KNOWN_FRESH = 1,
        KNOWN_SAME = 2 /* returns its first argument */,
        KNOWN_NORETURN = 4,
        KNOWN_NOARGS = 8,
        KNOWN_FREE = 16,
        KNOWN_COMPARE = 32,
        KNOWN_FOREIGN = 64, /* what it returns is of the C library: strings and its own types */
        KNOWN_TABLE = 128 /* what that points to is a table of the C library */,
        KNOWN_ENDPTR = 256 /* argument 1 is left pointing into the text of argument 0 */,
        KNOWN_DEEP = 512 /* and so is what hangs on it */,
        KNOWN_TEXTS = 1024 /* what it returns is an array of pointers to text */,
        KNOWN_COPY = 2048 /* copies as many bytes as its third argument says, and no other */
};
const Known *known_find(const char *name); /* NULL: nothing */
size_t known_count(void);
const Known *known_at(size_t i);

/* internals shared by the files above */
struct Values {
        Arena *arena;
        const Diff *diff;
        Node *nodes;
        uint32_t n_nodes, room;
        uint32_t params[VALUES_MAX_ARGS]; /* roots of the arguments in registers; ROOT_NONE: not made yet */
        uint32_t *table;                  /* hash table of node indexes; 0: empty */
        uint32_t table_size;
        FnValues **of[2];
        MapEntry *by_old; /* the testified entries of the map, sorted by old; NULL: not asked for yet */
        MapEntry *by_new;
        size_t n_map;
        size_t analysed;
        unsigned depth;        /* of summaries */
        uint16_t *clobbers[2]; /* per function: registers that it changes; 0: not known yet */
};
static inline const Code *values_code(const Values *w, Side side) {
        return side == SIDE_OLD ? w->diff->old : w->diff->new;
}

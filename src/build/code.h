/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/blocks.h"
#include "elf/image.h"

/*
 * The text of one image, decoded once: functions, instructions, and references to addresses.
 * Everything lies in arrays owned by the code's arena; functions index into them.
 */

#define NO_FUNCTION UINT32_MAX

typedef enum RefKind {
        REF_CALL,  /* call rel32 */
        REF_JUMP,  /* jmp/jcc that leaves the function (tail call) */
        REF_PCREL, /* memory operand or lea with rip base: see `access` of the instruction */
        REF_ABS32, /* 32-bit immediate or displacement that looks like an address (not PIE only) */
        REF_ABS64, /* movabs whose immediate looks like an address (not PIE only) */
} RefKind;

typedef struct Ref {
        uint64_t insn;   /* vaddr of the instruction */
        uint64_t field;  /* vaddr of the field that holds the address */
        uint64_t target; /* vaddr it refers to */
        uint32_t function;
        uint32_t begins;    /* the function whose entry part starts at target, or NO_FUNCTION */
        uint8_t kind;       /* RefKind */
        uint8_t field_size; /* 1, 4 or 8 */
        uint8_t after;      /* bytes from the field's start to the instruction's end: P-adjustment */
        bool lea;           /* REF_PCREL: the address itself is taken, memory is not touched here */
} Ref;

/* Whether the address goes into a register, or is one part of an address (an array's, with an index): how far
 * code goes from there is not told by the instruction. */
static inline bool takes_address(const Ref *ref) {
        return ref->lea || ref->kind >= REF_ABS32;
}

/* The function whose entry a reference of another function leads to; NO_FUNCTION: none. */
static inline uint32_t leads_to(const Ref *ref) {
        return ref->begins == ref->function ? NO_FUNCTION : ref->begins;
}

typedef struct Insn {
        uint32_t offset; /* from Code.text_base */
        uint8_t length;
        uint8_t flags; /* INSN_* */
        uint16_t spare;
        uint64_t norm; /* hash of the bytes with address fields blanked; short and near forms of a branch are
                          the same */
} Insn;
enum {
        INSN_REF = 1,      /* has an entry in refs */
        INSN_INTERNAL = 2, /* direct branch to the same function */
        INSN_INDIRECT = 4, /* indirect jump */
        INSN_NOP = 8,      /* nop, int3 padding */
        INSN_END = 16,     /* no fall-through: ret, jmp, ud2, hlt */
        INSN_CALL = 32,
};

typedef struct CodePart {
        uint64_t addr, size;
        uint32_t insn, n_insns; /* Code.insns */
        uint32_t function;      /* the function it belongs to */
        bool entered;           /* its start is called, exported, or has its address taken */
} CodePart;

typedef struct Function {
        const char *name; /* symbol, or "sub_<hex vaddr>"; never NULL */
        bool named;       /* name is a symbol's */
        bool uncovered;   /* no FDE or symbol described it: code found between functions */
        bool undecoded;   /* holds bytes that do not decode */
        bool exported, ifunc;
        bool has_indirect_jump, has_lsda;
        uint64_t addr, size; /* entry part */
        uint32_t *parts; /* indexes into Code.parts; [0] is the entry, then .cold and the like, by address */
        uint32_t n_parts;
        uint32_t ref, n_refs; /* Code.refs, in order of part, then address */
        uint64_t norm; /* hash over all instructions and the places that inner branches lead to, without
                          trailing padding */
        uint32_t n_insns;
        uint64_t total_size; /* all parts */
} Function;

typedef struct Code {
        const Image *image;
        Arena *arena;
        uint64_t text_base;  /* lowest vaddr of an executable section */
        Function *functions; /* sorted by addr of their entry part */
        uint32_t n_functions;
        CodePart *parts; /* sorted by addr */
        uint32_t n_parts;
        Blocks part_blocks;
        Insn *insns; /* it and refs by free() */
        size_t n_insns;
        Ref *refs;
        size_t n_refs;
        uint32_t *by_target; /* indexes of refs, in order of their targets, then of themselves */
        uint64_t *targets;   /* what code and relocated data refer to outside of functions; sorted, unique */
        size_t n_targets;
        Blocks target_blocks;
        uint64_t *entries; /* places inside parts, not their start, that other functions call or take the
                              address of; sorted, unique */
        size_t n_entries;
} Code;

/* Decodes the whole text with `threads` threads. */
int code_load(const Image *image, unsigned threads, Code **out, Error *e);
Code *code_free(Code *code);
static inline void code_freep(Code **code) {
        code_free(*code);
}
/* The part that holds addr, and its function; NULL when none. */
const CodePart *code_part_at(const Code *code, uint64_t addr);
const Function *code_function_at(const Code *code, uint64_t addr);
/* The part that starts exactly there; NULL when none does. */
const CodePart *code_part_start(const Code *code, uint64_t addr);
static inline uint64_t insn_addr(const Code *code, const Insn *insn) {
        return code->text_base + insn->offset;
}
/* Index in Code.insns of the instruction of the part at exactly that address; UINT32_MAX: there is none. */
uint32_t code_insn_at(const Code *code, const CodePart *part, uint64_t addr);
/* Target of a direct branch inside the function (INSN_INTERNAL). */
uint64_t code_branch_target(const Code *code, const Insn *insn);
/* First element of targets above `addr`; UINT64_MAX when none. */
uint64_t code_next_target(const Code *code, uint64_t addr);
/* Indexes of the references to exactly that address, of which there are *n, in order. */
const uint32_t *code_refs_to(const Code *code, uint64_t addr, size_t *n);
/* targets.c: fills by_target, targets and entries. A part of code_load(). */
void code_find_targets(Code *code);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "build/code.h"

/* One instruction: its length, its address fields, and a hash of everything else. */
typedef struct Decoded {
        uint64_t norm;
        uint64_t target; /* branch: where to */
        uint8_t length;
        uint8_t flags; /* INSN_* as far as one instruction tells */
        bool branch;   /* direct jmp, jcc, loop or call; a call's flags have INSN_CALL */
        bool has_ref;
        unsigned n_refs; /* at most 2: memory operand and immediate */
        Ref refs[2];
} Decoded;

typedef struct Decoder Decoder;

/* One per thread. */
Decoder *decoder_new(const Image *image);
Decoder *decoder_free(Decoder *d);
/* False when the bytes are no valid instruction. */
bool decode(const Decoder *d, const uint8_t *bytes, size_t size, uint64_t addr, Decoded *out);
/* Length of the padding (nops of any length, int3, zero bytes) that `bytes` begins with. */
size_t decode_padding(const uint8_t *bytes, size_t size);
/* The alignment that the instruction demands of its memory operand; 1: none. */
unsigned decode_alignment(const uint8_t *bytes, size_t size);

/* SPDX-License-Identifier: Apache-2.0 */
#include "build/decode.h"
#include "base/macro.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <string.h>

struct Decoder {
        ZydisDecoder zydis;
        bool absolute;   /* not position independent: fields may hold addresses */
        uint64_t lo, hi; /* what an address looks like then */
};

Decoder *decoder_new(const Image *image) {
        Decoder *d = calloc(1, sizeof(*d));

        if (!d)
                abort();
        ZydisDecoderInit(&d->zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        /* Lengths, opcodes and raw fields are all that is needed here. */
        ZydisDecoderEnableMode(&d->zydis, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
        d->absolute = image->type == ET_EXEC;
        d->lo = image->lo;
        d->hi = image->hi;
        return d;
}

Decoder *decoder_free(Decoder *d) {
        free(d);
        return NULL;
}

static uint64_t hash_bytes(const uint8_t *b, size_t n) {
        uint64_t h = n * UINT64_C(0x9e3779b97f4a7c15), v = 0;

        /* At most 15 bytes. */
        if (n >= 8) {
                memcpy(&v, b, 8);
                h = (h ^ v) * UINT64_C(0xff51afd7ed558ccd);
                h ^= h >> 32;
                v = 0;
                memcpy(&v, b + 8, n - 8);
        } else {
                memcpy(&v, b, n);
        }
        h = (h ^ v) * UINT64_C(0xc4ceb9fe1a85ec53);
        return h ^ (h >> 29);
}

static bool looks_like_address(const Decoder *d, uint64_t v) {
        return d->absolute && v >= d->lo && v < d->hi;
}

/* An array at a fixed address, by an index: wherever the displacement leads, as to what lies before the image
 * for "table[n - 100000]", it is an address. */
static bool is_array_at_fixed_address(const Decoder *d, const ZydisDecodedInstruction *in) {
        enum { BY_SIB = 4, NO_BASE = 5, NO_INDEX = 4 };
        bool lea = in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in->opcode == 0x8d;

        return d->absolute && !lea && (in->attributes & ZYDIS_ATTRIB_HAS_MODRM) && in->raw.modrm.mod == 0 &&
               in->raw.modrm.rm == BY_SIB && in->raw.sib.base == NO_BASE && in->raw.sib.index != NO_INDEX &&
               !(in->attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS));
}

static bool is_nop(const ZydisDecodedInstruction *in, const uint8_t *b) {
        if (in->opcode_map == ZYDIS_OPCODE_MAP_0F && in->opcode == 0x1f)
                return true;
        if (in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in->opcode == 0xcc)
                return true;
        /* 90 with any number of 66; not f3 90 (pause). */
        if (in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in->opcode == 0x90 && b[in->length - 1] == 0x90) {
                for (unsigned i = 0; i + 1 < in->length; i++)
                        if (b[i] != 0x66 && b[i] != 0x2e)
                                return false;
                return true;
        }
        return false;
}

bool decode(const Decoder *d, const uint8_t *bytes, size_t size, uint64_t addr, Decoded *out) {
        ZydisDecodedInstruction in;
        uint8_t copy[ZYDIS_MAX_INSTRUCTION_LENGTH];
        size_t n;

        *out = (Decoded){ 0 };
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&d->zydis, NULL, bytes, size, &in)))
                return false;
        out->length = in.length;
        n = in.length;
        memcpy(copy, bytes, n);

        if (in.raw.imm[0].is_relative) {
                unsigned width = in.raw.imm[0].size / 8;
                bool call = in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in.opcode == 0xe8;
                bool jmp =
                        in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (in.opcode == 0xe9 || in.opcode == 0xeb);

                out->target = addr + n + (uint64_t)in.raw.imm[0].value.s;
                out->branch = !call;
                out->flags = call ? INSN_CALL : jmp ? INSN_END : 0;
                out->has_ref = true;
                out->n_refs = 1;
                out->refs[0] = (Ref){ .insn = addr,
                                      .field = addr + in.raw.imm[0].offset,
                                      .target = out->target,
                                      .kind = call ? REF_CALL : REF_JUMP,
                                      .field_size = (uint8_t)width,
                                      .after = (uint8_t)(n - in.raw.imm[0].offset) };
                /* Short and near forms of one branch hash the same. */
                if (in.opcode_map == ZYDIS_OPCODE_MAP_0F && (in.opcode & 0xf0) == 0x80)
                        out->norm = UINT64_C(0x70000000) + (in.opcode & 0xf);
                else if (in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (in.opcode & 0xf0) == 0x70)
                        out->norm = UINT64_C(0x70000000) + (in.opcode & 0xf);
                else if (jmp)
                        out->norm = UINT64_C(0xeb000000);
                else {
                        memset(copy + in.raw.imm[0].offset, 0, width);
                        out->norm = hash_bytes(copy, n);
                }
                return true;
        }
        if (in.raw.disp.size == 32 && (in.attributes & ZYDIS_ATTRIB_HAS_MODRM) && in.raw.modrm.mod == 0 &&
            in.raw.modrm.rm == 5 && in.address_width != 16) {
                out->refs[out->n_refs++] =
                        (Ref){ .insn = addr,
                               .field = addr + in.raw.disp.offset,
                               .target = addr + n + (uint64_t)in.raw.disp.value,
                               .kind = REF_PCREL,
                               .field_size = 4,
                               .after = (uint8_t)(n - in.raw.disp.offset),
                               .lea = in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in.opcode == 0x8d };
                memset(copy + in.raw.disp.offset, 0, 4);
        } else if (in.raw.disp.size == 32 && (looks_like_address(d, (uint64_t)in.raw.disp.value) ||
                                              is_array_at_fixed_address(d, &in))) {
                out->refs[out->n_refs++] =
                        (Ref){ .insn = addr,
                               .field = addr + in.raw.disp.offset,
                               .target = (uint64_t)in.raw.disp.value,
                               .kind = REF_ABS32,
                               .field_size = 4,
                               .after = (uint8_t)(n - in.raw.disp.offset),
                               .lea = in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in.opcode == 0x8d };
                memset(copy + in.raw.disp.offset, 0, 4);
        }
        for (unsigned i = 0; i < 2; i++) {
                unsigned width = in.raw.imm[i].size / 8;
                uint64_t value = width == 8 ? in.raw.imm[i].value.u : in.raw.imm[i].value.u & UINT32_MAX;

                if (width < 4 || !looks_like_address(d, value) || out->n_refs == 2)
                        continue;
                out->refs[out->n_refs++] = (Ref){ .insn = addr,
                                                  .field = addr + in.raw.imm[i].offset,
                                                  .target = value,
                                                  .kind = width == 8 ? REF_ABS64 : REF_ABS32,
                                                  .field_size = (uint8_t)width,
                                                  .after = (uint8_t)(n - in.raw.imm[i].offset),
                                                  .lea = true };
                memset(copy + in.raw.imm[i].offset, 0, width);
        }
        out->has_ref = out->n_refs > 0;
        out->norm = hash_bytes(copy, n);

        if (in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT) {
                switch (in.opcode) {
                case 0xc2:
                case 0xc3:
                case 0xca:
                case 0xcb:
                case 0xcf:
                case 0xf4:
                        out->flags |= INSN_END;
                        break;
                case 0xff:
                        if (in.raw.modrm.reg == 4 || in.raw.modrm.reg == 5)
                                out->flags |= INSN_END | INSN_INDIRECT;
                        else if (in.raw.modrm.reg == 2 || in.raw.modrm.reg == 3)
                                out->flags |= INSN_CALL;
                        break;
                }
        } else if (in.opcode_map == ZYDIS_OPCODE_MAP_0F && in.opcode == 0x0b) {
                out->flags |= INSN_END;
        }
        if (is_nop(&in, bytes))
                out->flags |= INSN_NOP;
        return true;
}

size_t decode_padding(const uint8_t *bytes, size_t size) {
        size_t at = 0;

        while (at < size) {
                size_t n = 0;

                if (bytes[at] == 0xcc || bytes[at] == 0x00 || bytes[at] == 0x90) {
                        at++;
                        continue;
                }
                /* [66 2e]* 90, or [66 2e]* 0f 1f modrm [sib] [disp] */
                while (at + n < size && n < 12 && (bytes[at + n] == 0x66 || bytes[at + n] == 0x2e))
                        n++;
                if (at + n < size && bytes[at + n] == 0x90) {
                        at += n + 1;
                        continue;
                }
                if (at + n + 2 < size && bytes[at + n] == 0x0f && bytes[at + n + 1] == 0x1f) {
                        uint8_t modrm = bytes[at + n + 2], mod = modrm >> 6, rm = modrm & 7;
                        size_t m = n + 3 + (rm == 4) + (mod == 1 ? 1 : mod == 2 ? 4 : 0);

                        if (mod != 3 && at + m <= size) {
                                at += m;
                                continue;
                        }
                }
                break;
        }
        return at;
}

unsigned decode_alignment(const uint8_t *bytes, size_t size) {
        ZydisDecoder decoder;
        ZydisDecodedInstruction in;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        unsigned n = 0;

        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, size, &in, operands)))
                return 64;
        for (unsigned i = 0; i < in.operand_count_visible; i++)
                if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                    operands[i].mem.type == ZYDIS_MEMOP_TYPE_MEM)
                        n = operands[i].size / 8;
        if (n < 16)
                return 1;
        switch (in.mnemonic) {
        case ZYDIS_MNEMONIC_MOVUPS:
        case ZYDIS_MNEMONIC_MOVUPD:
        case ZYDIS_MNEMONIC_MOVDQU:
        case ZYDIS_MNEMONIC_LDDQU:
                return 1;
        case ZYDIS_MNEMONIC_VMOVAPS:
        case ZYDIS_MNEMONIC_VMOVAPD:
        case ZYDIS_MNEMONIC_VMOVDQA:
        case ZYDIS_MNEMONIC_VMOVDQA32:
        case ZYDIS_MNEMONIC_VMOVDQA64:
        case ZYDIS_MNEMONIC_VMOVNTDQ:
        case ZYDIS_MNEMONIC_VMOVNTDQA:
        case ZYDIS_MNEMONIC_VMOVNTPS:
        case ZYDIS_MNEMONIC_VMOVNTPD:
                return n;
        case ZYDIS_MNEMONIC_CMPXCHG16B:
                return 16;
        default: /* SSE instructions fault on what is not aligned; those with a VEX prefix do not */
                return in.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && n == 16 ? 16 : 1;
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/values.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <string.h>

static int gpr(ZydisRegister r) {
        ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);

        return full >= ZYDIS_REGISTER_RAX && full <= ZYDIS_REGISTER_R15 ? (int)(full - ZYDIS_REGISTER_RAX)
                                                                        : -1;
}

static bool is_cmov(ZydisMnemonic m) {
        return m >= ZYDIS_MNEMONIC_CMOVB && m <= ZYDIS_MNEMONIC_CMOVZ;
}

static uint8_t kind_of(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o) {
        switch (in->mnemonic) {
        case ZYDIS_MNEMONIC_MOV:
        case ZYDIS_MNEMONIC_MOVZX:
        case ZYDIS_MNEMONIC_MOVSX:
        case ZYDIS_MNEMONIC_MOVSXD:
        case ZYDIS_MNEMONIC_MOVBE:
                return OP_MOV;
        case ZYDIS_MNEMONIC_LEA:
                return OP_LEA;
        case ZYDIS_MNEMONIC_ADD:
        case ZYDIS_MNEMONIC_INC:
                return OP_ADD;
        case ZYDIS_MNEMONIC_SUB:
        case ZYDIS_MNEMONIC_DEC:
                if (in->mnemonic == ZYDIS_MNEMONIC_SUB && o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                    o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && o[0].reg.value == o[1].reg.value)
                        return OP_ZERO;
                return OP_SUB;
        case ZYDIS_MNEMONIC_SHL:
                return OP_SHL;
        case ZYDIS_MNEMONIC_IMUL:
                return in->operand_count_visible >= 2 ? OP_IMUL : OP_OTHER;
        case ZYDIS_MNEMONIC_AND:
                return OP_AND;
        case ZYDIS_MNEMONIC_XOR:
                if (o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && o[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                    o[0].reg.value == o[1].reg.value)
                        return OP_ZERO;
                return OP_OTHER;
        case ZYDIS_MNEMONIC_XCHG:
                return OP_XCHG;
        case ZYDIS_MNEMONIC_PUSH:
                return OP_PUSH;
        case ZYDIS_MNEMONIC_POP:
                return OP_POP;
        case ZYDIS_MNEMONIC_LEAVE:
                return OP_LEAVE;
        case ZYDIS_MNEMONIC_CALL:
                return OP_CALL;
        case ZYDIS_MNEMONIC_JMP:
                return OP_JMP;
        case ZYDIS_MNEMONIC_RET:
        case ZYDIS_MNEMONIC_IRETQ:
                return OP_RET;
        case ZYDIS_MNEMONIC_UD0:
        case ZYDIS_MNEMONIC_UD1:
        case ZYDIS_MNEMONIC_UD2:
        case ZYDIS_MNEMONIC_HLT:
        case ZYDIS_MNEMONIC_INT3:
                return OP_STOP;
        case ZYDIS_MNEMONIC_CMP:
        case ZYDIS_MNEMONIC_TEST:
        case ZYDIS_MNEMONIC_BT:
                return OP_CMP;
        case ZYDIS_MNEMONIC_NOP:
        case ZYDIS_MNEMONIC_ENDBR64:
        case ZYDIS_MNEMONIC_PAUSE:
        case ZYDIS_MNEMONIC_PREFETCHNTA:
        case ZYDIS_MNEMONIC_PREFETCHT0:
        case ZYDIS_MNEMONIC_PREFETCHT1:
        case ZYDIS_MNEMONIC_PREFETCHT2:
        case ZYDIS_MNEMONIC_PREFETCHW:
        case ZYDIS_MNEMONIC_CDQE:
                return OP_NOP;
        case ZYDIS_MNEMONIC_MOVSB:
        case ZYDIS_MNEMONIC_MOVSW:
        case ZYDIS_MNEMONIC_MOVSQ:
        case ZYDIS_MNEMONIC_STOSB:
        case ZYDIS_MNEMONIC_STOSW:
        case ZYDIS_MNEMONIC_STOSD:
        case ZYDIS_MNEMONIC_STOSQ:
        case ZYDIS_MNEMONIC_SCASB:
        case ZYDIS_MNEMONIC_CMPSB:
                return OP_STRING;
        case ZYDIS_MNEMONIC_MOVSD:
                /* the string instruction shares its mnemonic with the scalar move */
                if (in->meta.category == ZYDIS_CATEGORY_STRINGOP)
                        return OP_STRING;
                return OP_OTHER;
        default:
                break;
        }
        if (is_cmov(in->mnemonic))
                return OP_CMOV;
        if (in->meta.category == ZYDIS_CATEGORY_COND_BR)
                return OP_JCC;
        return OP_OTHER;
}

/* Moves through a vector register that say nothing of what kind of value it is. */
static bool neutral_move(ZydisMnemonic m) {
        switch (m) {
        case ZYDIS_MNEMONIC_MOVQ:
        case ZYDIS_MNEMONIC_MOVD:
        case ZYDIS_MNEMONIC_MOVHPS:
        case ZYDIS_MNEMONIC_MOVLPS:
        case ZYDIS_MNEMONIC_MOVHPD:
        case ZYDIS_MNEMONIC_MOVLPD:
        case ZYDIS_MNEMONIC_VMOVQ:
        case ZYDIS_MNEMONIC_VMOVD:
        case ZYDIS_MNEMONIC_VMOVHPS:
        case ZYDIS_MNEMONIC_VMOVLPS:
        case ZYDIS_MNEMONIC_PINSRQ:
        case ZYDIS_MNEMONIC_PINSRD:
        case ZYDIS_MNEMONIC_PINSRW:
        case ZYDIS_MNEMONIC_PINSRB:
        case ZYDIS_MNEMONIC_PEXTRQ:
        case ZYDIS_MNEMONIC_PEXTRD:
        case ZYDIS_MNEMONIC_PEXTRW:
        case ZYDIS_MNEMONIC_PEXTRB:
        case ZYDIS_MNEMONIC_CVTSI2SD:
        case ZYDIS_MNEMONIC_CVTSI2SS:
        case ZYDIS_MNEMONIC_VCVTSI2SD:
        case ZYDIS_MNEMONIC_VCVTSI2SS:
                return true;
        default:
                return false;
        }
}

/* Conversions whose only vector operand may be the one in memory. */
static bool float_to_int(ZydisMnemonic m) {
        switch (m) {
        case ZYDIS_MNEMONIC_CVTTSD2SI:
        case ZYDIS_MNEMONIC_CVTTSS2SI:
        case ZYDIS_MNEMONIC_CVTSD2SI:
        case ZYDIS_MNEMONIC_CVTSS2SI:
        case ZYDIS_MNEMONIC_VCVTTSD2SI:
        case ZYDIS_MNEMONIC_VCVTTSS2SI:
        case ZYDIS_MNEMONIC_VCVTSD2SI:
        case ZYDIS_MNEMONIC_VCVTSS2SI:
                return true;
        default:
                return false;
        }
}

static uint8_t class_of(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o, uint16_t width) {
        bool vector = false;

        for (unsigned i = 0; i < in->operand_count_visible; i++) {
                if (o[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
                        continue;
                switch (ZydisRegisterGetClass(o[i].reg.value)) {
                case ZYDIS_REGCLASS_XMM:
                case ZYDIS_REGCLASS_YMM:
                case ZYDIS_REGCLASS_ZMM:
                case ZYDIS_REGCLASS_MMX:
                        vector = true;
                        break;
                case ZYDIS_REGCLASS_X87:
                        return CLASS_FLOAT;
                default:
                        break;
                }
        }
        if (in->meta.category == ZYDIS_CATEGORY_X87_ALU || float_to_int(in->mnemonic))
                return CLASS_FLOAT;
        if (!vector || neutral_move(in->mnemonic))
                return CLASS_INT;
        return width > 8 ? CLASS_VECTOR : CLASS_FLOAT;
}

static bool bit_operation(ZydisMnemonic m) {
        switch (m) {
        case ZYDIS_MNEMONIC_AND:
        case ZYDIS_MNEMONIC_OR:
        case ZYDIS_MNEMONIC_XOR:
        case ZYDIS_MNEMONIC_TEST:
        case ZYDIS_MNEMONIC_BT:
        case ZYDIS_MNEMONIC_BTS:
        case ZYDIS_MNEMONIC_BTR:
        case ZYDIS_MNEMONIC_BTC:
                return true;
        default:
                return false;
        }
}

static void op_memory(Op *op, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o, unsigned at) {
        const ZydisDecodedOperand *m = &o[at];

        op->has_mem = true;
        op->mem_first = at == 0;
        op->width = (uint16_t)(m->size / 8);
        op->disp = m->mem.disp.has_displacement ? m->mem.disp.value : 0;
        op->thread = m->mem.segment == ZYDIS_REGISTER_FS || m->mem.segment == ZYDIS_REGISTER_GS;
        op->base = (int8_t)(m->mem.base == ZYDIS_REGISTER_NONE ? -1 : gpr(m->mem.base));
        op->index = (int8_t)(m->mem.index == ZYDIS_REGISTER_NONE ? -1 : gpr(m->mem.index));
        op->scale = m->mem.scale ? m->mem.scale : 1;
        if (m->mem.base == ZYDIS_REGISTER_RIP) {
                op->rip = true;
                op->base = -1;
                op->disp = (int64_t)(op->addr + in->length + (uint64_t)op->disp);
        }
        if (m->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
                op->flags |= ACCESS_READ;
        if (m->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
                op->flags |= ACCESS_WRITE;
        if (m->mem.type != ZYDIS_MEMOP_TYPE_MEM)
                op->flags = 0;
        op->class = class_of(in, o, op->width);
}

static void op_fill(Op *op, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o) {
        op->mnemonic = (uint16_t)in->mnemonic;
        op->length = in->length;
        op->dst = op->src = op->base = op->index = -1;
        op->kind = kind_of(in, o);
        op->size = (uint8_t)(in->operand_count ? MIN(o[0].size / 8, 255) : 0);
        for (unsigned i = 0; i < in->operand_count; i++) {
                bool visible = o[i].visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN;

                switch (o[i].type) {
                case ZYDIS_OPERAND_TYPE_REGISTER: {
                        int r = gpr(o[i].reg.value);

                        if (r < 0)
                                break;
                        if (o[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ)
                                op->reads |= (uint16_t)(1u << r);
                        if (o[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
                                op->writes |= (uint16_t)(1u << r);
                        if (visible && i == 0)
                                op->dst = (int8_t)r;
                        else if (visible && i == 1) {
                                op->src = (int8_t)r;
                                if (o[1].size < 32 && o[0].size > o[1].size)
                                        op->narrow = true;
                        }
                        break;
                }
                case ZYDIS_OPERAND_TYPE_MEMORY:
                        if (visible && !op->has_mem && o[i].mem.type != ZYDIS_MEMOP_TYPE_INVALID)
                                op_memory(op, in, o, i);
                        break;
                case ZYDIS_OPERAND_TYPE_IMMEDIATE:
                        if (!visible)
                                break;
                        if (o[i].imm.is_relative) {
                                op->target = op->addr + in->length + o[i].imm.value.u;
                        } else {
                                op->imm = o[i].imm.value.s;
                                op->has_imm = true;
                        }
                        break;
                default:
                        break;
                }
        }
        if (in->mnemonic == ZYDIS_MNEMONIC_INC || in->mnemonic == ZYDIS_MNEMONIC_DEC) {
                op->imm = 1;
                op->has_imm = true;
        }
        if (op->base >= 0)
                op->reads |= (uint16_t)(1u << op->base);
        if (op->index >= 0)
                op->reads |= (uint16_t)(1u << op->index);
        if (op->kind == OP_ZERO)
                op->reads = 0;
        if (op->kind == OP_NOP)
                op->has_mem = false;
        if (op->has_mem && op->has_imm && bit_operation(in->mnemonic))
                op->flags |= ACCESS_BITS;
        if (op->has_mem && op->mem_first && op->has_imm && in->mnemonic == ZYDIS_MNEMONIC_MOV)
                op->flags |= ACCESS_CONST;
        if (op->kind == OP_STRING)
                op->width =
                        (uint16_t)(o[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? o[0].size / 8 : o[1].size / 8);
}

int values_decode(const Code *code, const Function *f, Op **out, uint32_t *n_out) {
        ZydisDecoder decoder;
        uint32_t n = 0, k = 0;
        Op *ops;

        for (uint32_t p = 0; p < f->n_parts; p++)
                n += code->parts[f->parts[p]].n_insns;
        ops = calloc(n ? n : 1, sizeof(*ops));
        if (!ops)
                abort();
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        for (uint32_t p = 0; p < f->n_parts; p++) {
                const CodePart *part = &code->parts[f->parts[p]];
                const uint8_t *bytes = image_bytes(code->image, part->addr, part->size);

                if (!bytes) {
                        free(ops);
                        return -EBADMSG;
                }
                for (uint32_t i = 0; i < part->n_insns; i++) {
                        uint32_t insn = part->insn + i;
                        uint64_t addr = code->text_base + code->insns[insn].offset;
                        ZydisDecodedInstruction in;
                        ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];

                        if (addr < part->addr || addr >= part->addr + part->size ||
                            ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, bytes + (addr - part->addr),
                                                               part->size - (addr - part->addr), &in, o))) {
                                free(ops);
                                return -EBADMSG;
                        }
                        ops[k].addr = addr;
                        ops[k].insn = insn;
                        op_fill(&ops[k], &in, o);
                        k++;
                }
        }
        *out = ops;
        *n_out = k;
        return 0;
}

int values_decode_one(const Code *code, uint64_t addr, Op *op) {
        ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
        ZydisDecodedInstruction in;
        ZydisDecoder decoder;
        const uint8_t *b = NULL;
        size_t n = 15;

        while (n > 0 && !(b = image_bytes(code->image, addr, n)))
                n--;
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        if (!b || ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, b, n, &in, o)))
                return -EBADMSG;
        *op = (Op){ .addr = addr };
        op_fill(op, &in, o);
        return 0;
}

VariableUse variable_use(const Code *code, const Ref *r) {
        Op op;

        if (takes_address(r) || values_decode_one(code, r->insn, &op) < 0)
                return USE_ADDRESS;
        if (!op.has_mem || !op.mem_first || op.mnemonic == ZYDIS_MNEMONIC_CMP ||
            op.mnemonic == ZYDIS_MNEMONIC_TEST || op.kind == OP_CALL || op.kind == OP_JMP ||
            op.kind == OP_PUSH)
                return USE_READ;
        return op.flags & ACCESS_READ ? USE_COUNT : USE_SET;
}

uint32_t values_op_at(const FnValues *f, uint64_t addr) {
        const Function *fn = &f->code->functions[f->function];
        uint32_t first = 0;

        for (uint32_t k = 0; k < fn->n_parts; k++) {
                const CodePart *part = &f->code->parts[fn->parts[k]];
                uint32_t lo = first, hi = MIN(first + part->n_insns, f->n_ops);

                first = hi;
                if (addr < part->addr || addr - part->addr >= part->size)
                        continue;
                while (lo < hi) {
                        uint32_t mid = lo + (hi - lo) / 2;

                        if (f->ops[mid].addr == addr)
                                return mid;
                        if (f->ops[mid].addr < addr)
                                lo = mid + 1;
                        else
                                hi = mid;
                }
        }
        return NO_OP;
}

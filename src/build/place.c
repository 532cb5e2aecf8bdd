/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"

#include <elf.h>
#include <string.h>

static Place import_place(const Image *image, uint32_t symbol, int64_t addend, bool slot, uint32_t type) {
        const ImageSymbol *s = &image->dynsyms[symbol];

        return (Place){ .kind = PLACE_IMPORT,
                        .slot = slot,
                        .name = s->name,
                        .version = s->version,
                        .offset = (uint64_t)addend,
                        .type = slot ? type : 0 };
}

/* What a GOT slot holds, by its relocation. */
static bool slot_place(const Image *image, const ImageReloc *r, Place *out) {
        switch (r->type) {
        case R_X86_64_GLOB_DAT:
        case R_X86_64_JUMP_SLOT:
                /* Both end as the address of the symbol; which one the linker chose does not matter. */
                *out = import_place(image, r->symbol, r->addend, true, R_X86_64_GLOB_DAT);
                return true;
        case R_X86_64_DTPMOD64:
        case R_X86_64_DTPOFF64:
        case R_X86_64_TPOFF64:
        case R_X86_64_TLSDESC:
                *out = (Place){ .kind = PLACE_TLS,
                                .slot = true,
                                .type = r->type,
                                .name = r->symbol ? image->dynsyms[r->symbol].name : "",
                                .version = r->symbol ? image->dynsyms[r->symbol].version : "",
                                .offset = (uint64_t)r->addend };
                if (r->type == R_X86_64_DTPMOD64 && !r->symbol) {
                        /* A local variable: its offset in the block is in the next word. */
                        const uint8_t *b = image_bytes(image, r->addr + 8, 8);

                        if (b)
                                memcpy(&out->offset, b, 8);
                }
                return true;
        default:
                return false;
        }
}

bool place_is_loaders(const ImageSection *s) {
        return s->type == SHT_DYNAMIC || strcmp(s->name, ".eh_frame_hdr") == 0;
}

Place place_of(const Code *code, uint64_t addr) {
        const Image *image = code->image;
        const CodePart *part = code_part_at(code, addr);
        const ImageSection *section;
        const ImageReloc *r;
        const ImagePlt *plt;
        Place out;

        if (part) {
                const Function *f = &code->functions[part->function];
                uint32_t k = 0;

                while (&code->parts[f->parts[k]] != part)
                        k++;
                return (Place){ .kind = PLACE_FUNCTION,
                                .index = part->function,
                                .part = k,
                                .offset = addr - part->addr,
                                .target = addr };
        }
        plt = image_plt_at(image, addr);
        if (plt) {
                if (plt->symbol) {
                        out = import_place(image, plt->symbol, 0, false, 0);
                } else {
                        r = image_reloc_at(image, plt->got);
                        out = (Place){ .kind = PLACE_POINTER,
                                       .type = r ? r->type : 0,
                                       .target = r ? (uint64_t)r->addend : 0 };
                }
                out.section = image_section_at(image, addr);
                return out;
        }
        section = image_section_at(image, addr);
        if (!section)
                return (Place){ .kind = PLACE_OTHER, .target = addr };
        if (strncmp(section->name, ".got", 4) == 0) {
                r = image_reloc_at(image, addr);
                /* The second half of a DTPMOD/DTPOFF pair of a local symbol has no relocation; and
                 * code refers to the first half only. */
                if (r && slot_place(image, r, &out)) {
                        out.section = section;
                        return out;
                }
                if (r && (r->type == R_X86_64_RELATIVE || r->type == R_X86_64_IRELATIVE))
                        return (Place){ .kind = PLACE_POINTER,
                                        .slot = true,
                                        .type = r->type,
                                        .target = (uint64_t)r->addend,
                                        .section = section };
                if (!r && image->type == ET_EXEC) {
                        const uint8_t *b = image_bytes(image, addr, 8);
                        uint64_t v = 0;

                        if (b)
                                memcpy(&v, b, 8);
                        if (v)
                                return (Place){ .kind = PLACE_POINTER,
                                                .slot = true,
                                                .type = R_X86_64_RELATIVE,
                                                .target = v,
                                                .section = section };
                }
                return (Place){ .kind = PLACE_OTHER,
                                .section = section,
                                .target = addr,
                                .offset = addr - section->addr };
        }
        out = (Place){ .section = section, .target = addr, .offset = addr - section->addr };
        if ((section->flags & SHF_EXECINSTR) || place_is_loaders(section))
                out.kind = PLACE_OTHER;
        else if (!(section->flags & SHF_WRITE))
                out.kind = PLACE_CONST;
        else if (addr >= image->relro_addr && addr < image->relro_addr + image->relro_size)
                out.kind = PLACE_RELRO;
        else
                out.kind = PLACE_DATA;
        return out;
}

uint64_t const_extent(const Code *code, uint64_t addr) {
        const ImageSection *s = image_section_at(code->image, addr);
        uint64_t next = code_next_target(code, addr);

        if (!s)
                return 0;
        return MIN(next, s->addr + s->size) - addr;
}

uint64_t address_at(const Image *image, uint64_t addr) {
        const ImageReloc *r = image_reloc_at(image, addr);
        const uint8_t *b = r || image->type != ET_EXEC ? NULL : image_bytes(image, addr, 8);
        uint64_t v = r && r->type == R_X86_64_RELATIVE ? (uint64_t)r->addend : 0;

        if (b)
                memcpy(&v, b, 8);
        return v;
}

bool unrelocated(const Image *image, uint64_t addr, uint64_t size) {
        size_t i = image_reloc_from(image, addr > 7 ? addr - 7 : 0);

        return i >= image->n_relocs || image->relocs[i].addr >= addr + size;
}

uint64_t jump_table_entry(const Code *code, uint64_t addr, unsigned entry_size, uint32_t i) {
        const uint8_t *b = image_bytes(code->image, addr + (uint64_t)i * entry_size, entry_size);
        int32_t v32;
        uint64_t v;

        if (!b)
                return 0;
        if (entry_size == 8) {
                memcpy(&v, b, 8);
                return v;
        }
        memcpy(&v32, b, 4);
        return addr + (uint64_t)(int64_t)v32;
}

static uint32_t table_entries(const Code *code, const Function *function, uint64_t addr,
                              unsigned entry_size) {
        uint64_t extent = const_extent(code, addr);
        uint32_t n = 0;

        while ((uint64_t)(n + 1) * entry_size <= extent) {
                const Function *f = code_function_at(code, jump_table_entry(code, addr, entry_size, n));

                if (f != function)
                        break;
                n++;
        }
        return n;
}

uint32_t jump_table(const Code *code, const Function *function, uint64_t addr, unsigned *entry_size) {
        const ImageSection *s = image_section_at(code->image, addr);
        uint32_t n;

        if (!function->has_indirect_jump || !s || !s->bytes || (s->flags & (SHF_EXECINSTR | SHF_WRITE)) ||
            addr % 4)
                return 0;
        *entry_size = 4;
        n = table_entries(code, function, addr, 4);
        if (n == 0 && code->image->type == ET_EXEC && addr % 8 == 0) {
                *entry_size = 8;
                n = table_entries(code, function, addr, 8);
        }
        return n;
}

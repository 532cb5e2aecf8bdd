/* SPDX-License-Identifier: Apache-2.0 */
#include "build/passes.h"

#include <elf.h>
#include <string.h>

static void mark(const Code *code, uint64_t addr, bool *out) {
        const CodePart *p = code_part_start(code, addr);

        if (p && code->functions[p->function].addr == addr)
                out[p->function] = true;
}

/* In a program at a fixed address data holds the addresses of functions as numbers. */
static void mark_words(const Code *code, bool *out) {
        for (size_t i = 0; i < code->image->n_sections; i++) {
                const ImageSection *s = &code->image->sections[i];

                if (!s->bytes || !(s->flags & SHF_ALLOC) || (s->flags & SHF_EXECINSTR))
                        continue;
                for (uint64_t at = -s->addr % 8; at + 8 <= s->size; at += 8) {
                        uint64_t v;

                        memcpy(&v, s->bytes + at, sizeof(v));
                        if (v >= code->image->lo && v < code->image->hi)
                                mark(code, v, out);
                }
        }
}

void mark_named(const Code *code, bool *out) {
        const Image *image = code->image;

        for (size_t i = 0; i < image->n_relocs; i++)
                if (image->relocs[i].symbol == 0)
                        mark(code, (uint64_t)image->relocs[i].addend, out);
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (image->dynsyms[i].defined)
                        mark(code, image->dynsyms[i].addr, out);
        if (image->type == ET_EXEC)
                mark_words(code, out);
}

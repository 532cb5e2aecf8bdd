/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/image-parse.h"

#include <errno.h>
#include <inttypes.h>

/* Tables of one kind, as ranges of the file. */
typedef struct Relocs {
        ImageParse *p;
        ImageReloc *items;
        size_t n, room;
} Relocs;

static int bad(const Relocs *to, const char *what, uint64_t addr) {
        return error_set(to->p->e, -EBADMSG, "%s: relocation at %#" PRIx64 ": %s", to->p->image->path, addr,
                         what);
}

static int add(Relocs *to, ImageReloc reloc) {
        if (!image_segment_at(to->p->image, reloc.addr))
                return bad(to, "outside the image", reloc.addr);
        to->items[to->n++] = reloc;
        return 0;
}

static int reserve(Relocs *to, size_t more) {
        Image *image = to->p->image;
        ImageReloc *items;

        if (more > IMAGE_MAX_RELOCS - to->room)
                return error_set(to->p->e, -EBADMSG, "%s: its relocations are over the limit", image->path);
        to->room += more;
        items = arena_newa(image->arena, ImageReloc, to->room);
        for (size_t i = 0; i < to->n; i++)
                items[i] = to->items[i];
        to->items = items;
        return 0;
}

static int read_rela(Relocs *to, const uint8_t *bytes, uint64_t size) {
        Cursor c = cursor_make(bytes, size);
        int r;

        if (size == 0)
                return 0;
        if (!bytes || size % sizeof(Elf64_Rela))
                return error_set(to->p->e, -EBADMSG, "%s: relocation table: outside the image, or cut short",
                                 to->p->image->path);
        r = reserve(to, size / sizeof(Elf64_Rela));
        if (r < 0)
                return r;
        while (cursor_left(&c)) {
                uint64_t addr = cursor_u64(&c), info = cursor_u64(&c);
                ImageReloc reloc = { .addr = addr,
                                     .addend = (int64_t)cursor_u64(&c),
                                     .type = (uint32_t)ELF64_R_TYPE(info),
                                     .symbol = (uint32_t)ELF64_R_SYM(info) };

                if (reloc.type == R_X86_64_NONE)
                        continue;
                if (reloc.symbol && reloc.symbol >= to->p->image->n_dynsyms)
                        return bad(to, "its symbol is outside the symbol table", addr);
                r = add(to, reloc);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_relative(Relocs *to, uint64_t addr) {
        const uint8_t *bytes = image_bytes(to->p->image, addr, 8);
        Cursor c = cursor_make(bytes, 8);

        if (!bytes)
                return bad(to, "its addend is not in the file", addr);
        return add(to, (ImageReloc){
                               .addr = addr, .type = R_X86_64_RELATIVE, .addend = (int64_t)cursor_u64(&c) });
}

/* An even word is an address; an odd one a bitmap of the 63 words that follow the last. */
static int read_relr(Relocs *to, const uint8_t *bytes, uint64_t size) {
        Cursor c = cursor_make(bytes, size);
        uint64_t where = 0;
        size_t n = 0;
        int r;

        if (size == 0)
                return 0;
        if (!bytes || size % sizeof(Elf64_Relr))
                return error_set(to->p->e, -EBADMSG,
                                 "%s: relative relocations: outside the image, or cut short",
                                 to->p->image->path);
        while (cursor_left(&c)) {
                uint64_t word = cursor_u64(&c);

                n += word & 1 ? (size_t)__builtin_popcountll(word >> 1) : 1;
        }
        r = reserve(to, n);
        if (r < 0)
                return r;
        c = cursor_make(bytes, size);
        while (cursor_left(&c)) {
                uint64_t word = cursor_u64(&c);

                if (!(word & 1)) {
                        r = add_relative(to, word);
                        where = word + 8;
                } else {
                        for (uint64_t bits = word >> 1, at = where; bits && r == 0; bits >>= 1, at += 8)
                                if (bits & 1)
                                        r = add_relative(to, at);
                        where += 63 * 8;
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int reloc_order(const void *a, const void *b) {
        const ImageReloc *x = a, *y = b;

        if (x->addr != y->addr)
                return x->addr < y->addr ? -1 : 1;
        return x->type < y->type ? -1 : x->type > y->type;
}

static void sort(Relocs *to) {
        for (size_t i = 1; i < to->n; i++)
                if (to->items[i].addr < to->items[i - 1].addr) {
                        qsort(to->items, to->n, sizeof(to->items[0]), reloc_order);
                        return;
                }
}

int image_parse_relocs(ImageParse *p) {
        Image *image = p->image;
        Relocs to = { .p = p };
        int r = 0;

        if (p->debug_only)
                return 0;
        if (image->dynamic) {
                uint64_t inside = p->jmprel - p->rela;

                r = read_rela(&to, image_bytes(image, p->rela, p->rela_size), p->rela_size);
                /* Some linkers let the first table span the second. */
                if (r == 0 && !(p->rela_size && p->jmprel >= p->rela && inside < p->rela_size))
                        r = read_rela(&to, image_bytes(image, p->jmprel, p->jmprel_size), p->jmprel_size);
                if (r == 0)
                        r = read_relr(&to, image_bytes(image, p->relr, p->relr_size), p->relr_size);
        } else {
                /* Static programs relocate themselves (IRELATIVE) by their linker's symbols. */
                for (size_t i = 1; i < image->n_sections && r == 0; i++)
                        if (image->sections[i].type == SHT_RELA && (image->sections[i].flags & SHF_ALLOC))
                                r = read_rela(&to, image->sections[i].bytes, image->sections[i].size);
        }
        if (r < 0)
                return r;
        sort(&to);
        image->relocs = to.items;
        image->n_relocs = to.n;
        return 0;
}

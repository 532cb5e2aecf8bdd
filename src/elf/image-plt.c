/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "elf/image-parse.h"

#include <string.h>

typedef VEC(ImagePlt) Plts;

/* The slot that a stub jumps through: [endbr64] [mov imm32, %r11d] [bnd] jmp *disp32(%rip). */
static bool decode_stub(const uint8_t *bytes, size_t size, uint64_t addr, uint64_t *slot) {
        static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa }, mov[] = { 0x41, 0xbb },
                             jump[] = { 0xff, 0x25 };
        Cursor c = cursor_make(bytes, size);
        uint32_t displacement;

        if (size >= 4 && memcmp(bytes, endbr64, 4) == 0)
                cursor_take(&c, 4);
        if (cursor_left(&c) >= 6 && memcmp(bytes + c.at, mov, 2) == 0)
                cursor_take(&c, 6);
        if (cursor_left(&c) >= 1 && bytes[c.at] == 0xf2)
                cursor_take(&c, 1);
        if (cursor_left(&c) < 6 || memcmp(bytes + c.at, jump, 2) != 0)
                return false;
        cursor_take(&c, 2);
        displacement = cursor_u32(&c);
        *slot = addr + c.at + (uint64_t)(int64_t)(int32_t)displacement;
        return true;
}

/* The entry at `at` of the section, when a slot with a relocation is what it jumps through. The slot of the
 * header of a lazy .plt has none: the loader fills it by itself. */
static const ImageReloc *read_entry(const Image *image, const ImageSection *s, uint64_t at, uint64_t *slot) {
        if (at >= s->size || !decode_stub(s->bytes + at, s->size - at, s->addr + at, slot))
                return NULL;
        return image_reloc_at(image, *slot);
}

/* Entries are 8 or 16 bytes, and the section's entry size does not always say which. */
static void read_section(Plts *to, const Image *image, const ImageSection *s) {
        for (uint64_t at = 0, size; at < s->size; at += size) {
                uint64_t slot, next;
                const ImageReloc *reloc = read_entry(image, s, at, &slot);

                size = 8;
                if (!reloc)
                        continue;
                size = read_entry(image, s, at + 8, &next) ? 8 : MIN(UINT64_C(16), s->size - at);
                vec_push(to,
                         (ImagePlt){
                                 .addr = s->addr + at, .size = size, .got = slot, .symbol = reloc->symbol });
        }
}

static int plt_order(const void *a, const void *b) {
        const ImagePlt *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}

int image_parse_plt(ImageParse *p) {
        static const char *const names[] = { ".plt", ".plt.sec", ".plt.got", ".iplt" };
        Image *image = p->image;
        Plts plts = { 0 };

        for (size_t i = 1; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];
                bool is_plt = false;

                for (size_t k = 0; k < ELEMENTSOF(names); k++)
                        is_plt = is_plt || strcmp(s->name, names[k]) == 0;
                if (is_plt && s->bytes && (s->flags & SHF_EXECINSTR) && (s->flags & SHF_ALLOC))
                        read_section(&plts, image, s);
        }
        if (plts.n)
                qsort(plts.items, plts.n, sizeof(plts.items[0]), plt_order);
        image->plts = arena_dup(image->arena, plts.items, plts.n * sizeof(plts.items[0]));
        image->n_plts = plts.n;
        if (plts.n)
                ((ImageInner *)image)->plt_blocks =
                        blocks_make(image->arena, image->plts, plts.n, sizeof(ImagePlt), image->plts[0].addr,
                                    image->plts[plts.n - 1].addr);
        vec_free(&plts);
        return 0;
}

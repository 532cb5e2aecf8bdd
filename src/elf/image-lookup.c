/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/image-parse.h"

#include <string.h>

/* Index of the first of `n` items whose address (at the front of each, or through `i`) is above `wanted`. */
#define UPPER_BOUND(n, wanted, address)                   \
        ({                                                \
                size_t _lo = 0, _hi = (n);                \
                while (_lo < _hi) {                       \
                        size_t i = _lo + (_hi - _lo) / 2; \
                        if ((address) <= (wanted))        \
                                _lo = i + 1;              \
                        else                              \
                                _hi = i;                  \
                }                                         \
                _lo;                                      \
        })

const ImageSection *image_section_at(const Image *image, uint64_t addr) {
        const ImageInner *inner = (const ImageInner *)image;
        size_t at = blocks_above(&inner->section_blocks, addr);
        const ImageSection *s = at ? inner->by_addr[at - 1].section : NULL;

        return s && addr - s->addr < s->size ? s : NULL;
}

const ImageSection *image_section(const Image *image, const char *name) {
        for (size_t i = 1; i < image->n_sections; i++)
                if (strcmp(image->sections[i].name, name) == 0)
                        return &image->sections[i];
        return NULL;
}

const ImageSegment *image_segment_at(const Image *image, uint64_t addr) {
        size_t at = UPPER_BOUND(image->n_segments, addr, image->segments[i].addr);

        if (at == 0 || addr - image->segments[at - 1].addr >= image->segments[at - 1].size)
                return NULL;
        return &image->segments[at - 1];
}

const uint8_t *image_bytes(const Image *image, uint64_t addr, uint64_t size) {
        const ImageSegment *s = image_segment_at(image, addr);
        uint64_t at;

        if (!s)
                return NULL;
        at = addr - s->addr;
        if (at > s->file_size || size > s->file_size - at)
                return NULL;
        return image->file.bytes + s->offset + at;
}

const uint8_t *image_bytes_from(const Image *image, uint64_t addr, uint64_t *left) {
        const ImageSegment *s = image_segment_at(image, addr);

        *left = s && addr - s->addr < s->file_size ? s->file_size - (addr - s->addr) : 0;
        return *left ? image->file.bytes + s->offset + (addr - s->addr) : NULL;
}

size_t image_reloc_from(const Image *image, uint64_t addr) {
        return addr == 0 ? 0 : UPPER_BOUND(image->n_relocs, addr - 1, image->relocs[i].addr);
}

const ImageReloc *image_reloc_at(const Image *image, uint64_t addr) {
        size_t at = image_reloc_from(image, addr);

        return at < image->n_relocs && image->relocs[at].addr == addr ? &image->relocs[at] : NULL;
}

const ImagePlt *image_plt_at(const Image *image, uint64_t addr) {
        size_t at = blocks_above(&((const ImageInner *)image)->plt_blocks, addr);

        return at && addr - image->plts[at - 1].addr < image->plts[at - 1].size ? &image->plts[at - 1] : NULL;
}

const ImageFde *image_fde_at(const Image *image, uint64_t addr) {
        size_t at = UPPER_BOUND(image->n_fdes, addr, image->fdes[i].addr);

        return at && addr - image->fdes[at - 1].addr < image->fdes[at - 1].size ? &image->fdes[at - 1] : NULL;
}

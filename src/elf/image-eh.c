/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "elf/image-parse.h"

#include <dwarf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What an FDE needs of its CIE. Kept in file order: a CIE precedes its FDEs. */
typedef struct Cie {
        size_t offset;
        uint64_t personality;
        uint8_t fde_encoding, lsda_encoding;
        bool augmented, signal_frame;
} Cie;

typedef struct EhFrame {
        ImageParse *p;
        uint64_t addr;
        Cursor all;
        VEC(Cie) cies;
        VEC(ImageFde) fdes;
} EhFrame;

static int bad(const EhFrame *f, size_t at, const char *what) {
        return error_set(f->p->e, -EBADMSG, "%s: .eh_frame: offset %#zx: %s", f->p->image->path, at, what);
}

/* Reads a pointer as `encoding` says. Null stays null, whatever it is relative to. An encoding that
 * has no meaning here marks the cursor failed. */
static uint64_t read_pointer(const EhFrame *f, Cursor *c, uint8_t encoding) {
        uint64_t at, value = 0;

        if ((encoding & 0x70) == DW_EH_PE_aligned)
                cursor_seek(c, (size_t)(align_up(f->addr + c->at, 8) - f->addr));
        at = f->addr + c->at;
        switch (encoding & 0x0f) {
        case DW_EH_PE_absptr:
        case DW_EH_PE_udata8:
        case DW_EH_PE_sdata8:
                value = cursor_u64(c);
                break;
        case DW_EH_PE_uleb128:
                value = cursor_uleb(c);
                break;
        case DW_EH_PE_sleb128:
                value = (uint64_t)cursor_sleb(c);
                break;
        case DW_EH_PE_udata2:
                value = cursor_u16(c);
                break;
        case DW_EH_PE_sdata2:
                value = (uint64_t)(int64_t)(int16_t)cursor_u16(c);
                break;
        case DW_EH_PE_udata4:
                value = cursor_u32(c);
                break;
        case DW_EH_PE_sdata4:
                value = (uint64_t)(int64_t)(int32_t)cursor_u32(c);
                break;
        default:
                c->failed = true;
        }
        if (value == 0)
                return 0;
        switch (encoding & 0x70) {
        case DW_EH_PE_absptr:
        case DW_EH_PE_aligned:
                return value;
        case DW_EH_PE_pcrel:
                return value + at;
        case DW_EH_PE_datarel:
                return value + f->p->pltgot;
        default: /* textrel, funcrel: no toolchain makes them on x86-64 */
                c->failed = true;
                return 0;
        }
}

static int read_augmentation(EhFrame *f, Cursor *c, const char *text, size_t at, Cie *cie) {
        uint64_t size = cursor_uleb(c);
        Cursor data;

        if (c->failed || size > cursor_left(c))
                return bad(f, at, "augmentation data cut short");
        data = *c;
        data.size = data.at + size;
        for (const char *s = text + 1; *s; s++) {
                uint8_t encoding;

                switch (*s) {
                case 'R':
                        cie->fde_encoding = cursor_u8(&data);
                        break;
                case 'L':
                        cie->lsda_encoding = cursor_u8(&data);
                        break;
                case 'P':
                        encoding = cursor_u8(&data);
                        cie->personality = read_pointer(f, &data, encoding);
                        break;
                case 'S':
                        cie->signal_frame = true;
                        break;
                case 'B': /* AArch64 pointer keys; no data */
                        break;
                default:
                        return bad(f, at, "unknown augmentation");
                }
        }
        return data.failed ? bad(f, at, "augmentation data cut short") : 0;
}

static int read_cie(EhFrame *f, Cursor c, size_t at) {
        Cie cie = { .offset = at, .fde_encoding = DW_EH_PE_absptr, .lsda_encoding = DW_EH_PE_omit };
        uint8_t version = cursor_u8(&c);
        const char *text = cursor_string(&c);
        int r;

        if (!text || (version != 1 && version != 3 && version != 4))
                return bad(f, at, "unknown kind of CIE");
        if (version == 4 && (cursor_u8(&c) != 8 || cursor_u8(&c) != 0))
                return bad(f, at, "CIE for another size of address");
        cursor_uleb(&c); /* code alignment */
        cursor_sleb(&c); /* data alignment */
        if (version == 1)
                cursor_u8(&c); /* return address column */
        else
                cursor_uleb(&c);
        if (c.failed)
                return bad(f, at, "CIE cut short");
        if (*text == 'z') {
                cie.augmented = true;
                r = read_augmentation(f, &c, text, at, &cie);
                if (r < 0)
                        return r;
        } else if (*text) {
                return bad(f, at, "unknown augmentation");
        }
        vec_push(&f->cies, cie);
        return 0;
}

static const Cie *find_cie(const EhFrame *f, size_t offset) {
        size_t lo = 0, hi = f->cies.n;

        while (lo < hi) {
                size_t i = lo + (hi - lo) / 2;

                if (f->cies.items[i].offset == offset)
                        return &f->cies.items[i];
                if (f->cies.items[i].offset < offset)
                        lo = i + 1;
                else
                        hi = i;
        }
        return NULL;
}

static int read_fde(EhFrame *f, Cursor c, size_t at, const Cie *cie) {
        const Image *image = f->p->image;
        const ImageSegment *segment;
        ImageFde fde = { .personality = cie->personality, .signal_frame = cie->signal_frame };

        if (cie->fde_encoding & DW_EH_PE_indirect)
                return bad(f, at, "indirect code address");
        fde.addr = read_pointer(f, &c, cie->fde_encoding);
        fde.size = read_pointer(f, &c, cie->fde_encoding & 0x0f);
        if (cie->augmented) {
                uint64_t size = cursor_uleb(&c);

                if (size > cursor_left(&c))
                        return bad(f, at, "augmentation data cut short");
                c.size = c.at + size;
                if (cie->lsda_encoding != DW_EH_PE_omit)
                        fde.lsda = read_pointer(f, &c, cie->lsda_encoding);
        }
        if (c.failed)
                return bad(f, at, "FDE cut short, or with an unknown encoding");
        if (fde.size == 0)
                return 0;
        segment = image_segment_at(image, fde.addr);
        if (!segment || fde.size > segment->size - (fde.addr - segment->addr))
                return bad(f, at, "FDE for code outside the image");
        if (f->fdes.n == IMAGE_MAX_FDES)
                return bad(f, at, "more FDEs than the limit");
        vec_push(&f->fdes, fde);
        return 0;
}

static int read_record(EhFrame *f) {
        size_t at = f->all.at, id_at;
        uint64_t size = cursor_u32(&f->all);
        const Cie *cie;
        uint32_t id;
        Cursor c;

        /* A terminator. Records can follow one where objects were joined; look-ups by table find them. */
        if (size == 0 && !f->all.failed)
                return 0;
        if (size == UINT32_MAX)
                size = cursor_u64(&f->all);
        id_at = f->all.at;
        if (f->all.failed || size > cursor_left(&f->all) || size < 4)
                return bad(f, at, "record beyond the end of the section");
        /* Positions stay those of the section, since pointers are relative to them. */
        c = f->all;
        c.size = c.at + (size_t)size;
        cursor_take(&f->all, (size_t)size);
        id = cursor_u32(&c);
        if (id == 0)
                return read_cie(f, c, at);
        cie = id <= id_at ? find_cie(f, id_at - id) : NULL;
        return cie ? read_fde(f, c, at, cie) : bad(f, at, "FDE without a CIE");
}

static int fde_order(const void *a, const void *b) {
        const ImageFde *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int sort(EhFrame *f) {
        if (f->fdes.n)
                qsort(f->fdes.items, f->fdes.n, sizeof(f->fdes.items[0]), fde_order);
        for (size_t i = 1; i < f->fdes.n; i++) {
                const ImageFde *before = &f->fdes.items[i - 1];

                if (f->fdes.items[i].addr - before->addr < before->size)
                        return error_set(f->p->e, -EBADMSG,
                                         "%s: .eh_frame: the FDEs for %#" PRIx64 " and %#" PRIx64 " overlap",
                                         f->p->image->path, before->addr, f->fdes.items[i].addr);
        }
        return 0;
}

int image_parse_eh(ImageParse *p) {
        Image *image = p->image;
        const ImageSection *s = image_section(image, ".eh_frame");
        EhFrame f = { .p = p };
        int r = 0;

        if (!s || !s->bytes || !(s->flags & SHF_ALLOC))
                return 0;
        image->eh_frame = s->bytes;
        image->eh_frame_addr = f.addr = s->addr;
        image->eh_frame_size = s->size;
        f.all = cursor_make(s->bytes, s->size);
        while (r == 0 && cursor_left(&f.all) >= 4)
                r = read_record(&f);
        if (r == 0)
                r = sort(&f);
        if (r == 0) {
                image->fdes = arena_dup(image->arena, f.fdes.items, f.fdes.n * sizeof(f.fdes.items[0]));
                image->n_fdes = f.fdes.n;
        }
        vec_free(&f.cies);
        vec_free(&f.fdes);
        return r;
}

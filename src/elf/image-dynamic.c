/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/image-parse.h"

#include <errno.h>
#include <inttypes.h>

enum { DYNAMIC_MAX_NEEDED = 65536 };

static const char *dynamic_string(const ImageParse *p, uint64_t offset) {
        return image_table_string(image_bytes(p->image, p->strtab, p->strtab_size), p->strtab_size, offset);
}

static int read_strings(ImageParse *p, Cursor c, size_t n_needed) {
        Image *image = p->image;

        image->needed = arena_newa(image->arena, const char *, n_needed);
        while (cursor_left(&c) >= sizeof(Elf64_Dyn)) {
                int64_t tag = (int64_t)cursor_u64(&c);
                uint64_t value = cursor_u64(&c);
                const char *s;

                if (tag == DT_NULL)
                        break;
                if (tag != DT_NEEDED && tag != DT_SONAME)
                        continue;
                s = dynamic_string(p, value);
                if (!s)
                        return error_set(p->e, -EBADMSG,
                                         "%s: dynamic section: string %#" PRIx64
                                         " is outside the string table",
                                         image->path, value);
                if (tag == DT_SONAME)
                        image->soname = s;
                else
                        image->needed[image->n_needed++] = s;
        }
        return 0;
}

int image_parse_dynamic(ImageParse *p) {
        Image *image = p->image;
        uint64_t rela_entry = sizeof(Elf64_Rela), relr_entry = sizeof(Elf64_Relr), plt_type = DT_RELA;
        size_t n_needed = 0;
        Cursor all = { 0 }, c;

        if (!image->dynamic || p->debug_only)
                return 0;
        for (size_t i = 0; i < p->n_segments; i++) {
                const GElf_Phdr *h = &p->segments[i];

                if (h->p_type == PT_DYNAMIC)
                        all = cursor_make(image_bytes(image, h->p_vaddr, h->p_filesz), h->p_filesz);
        }
        c = all;
        while (cursor_left(&c) >= sizeof(Elf64_Dyn)) {
                int64_t tag = (int64_t)cursor_u64(&c);
                uint64_t value = cursor_u64(&c);

                if (tag == DT_NULL)
                        break;
                switch (tag) {
#define TAG(t, field)          \
        case t:                \
                field = value; \
                break
                        TAG(DT_INIT, image->init);
                        TAG(DT_FINI, image->fini);
                        TAG(DT_INIT_ARRAY, image->init_array);
                        TAG(DT_INIT_ARRAYSZ, image->init_array_size);
                        TAG(DT_FINI_ARRAY, image->fini_array);
                        TAG(DT_FINI_ARRAYSZ, image->fini_array_size);
                        TAG(DT_PREINIT_ARRAY, image->preinit_array);
                        TAG(DT_PREINIT_ARRAYSZ, image->preinit_array_size);
                        TAG(DT_SYMTAB, p->symtab);
                        TAG(DT_STRTAB, p->strtab);
                        TAG(DT_STRSZ, p->strtab_size);
                        TAG(DT_PLTGOT, p->pltgot);
                        TAG(DT_RELA, p->rela);
                        TAG(DT_RELASZ, p->rela_size);
                        TAG(DT_RELAENT, rela_entry);
                        TAG(DT_JMPREL, p->jmprel);
                        TAG(DT_PLTRELSZ, p->jmprel_size);
                        TAG(DT_PLTREL, plt_type);
                        TAG(DT_RELR, p->relr);
                        TAG(DT_RELRSZ, p->relr_size);
                        TAG(DT_RELRENT, relr_entry);
#undef TAG
                case DT_NEEDED:
                        if (++n_needed > DYNAMIC_MAX_NEEDED)
                                return error_set(p->e, -EBADMSG, "%s: dynamic section: too many DT_NEEDED",
                                                 image->path);
                        break;
                case DT_FLAGS_1:
                        image->executable = value & DF_1_PIE;
                        break;
                case DT_REL:
                        return error_set(p->e, -EBADMSG, "%s: dynamic section: REL relocations on x86-64",
                                         image->path);
                }
        }
        if (rela_entry != sizeof(Elf64_Rela) || relr_entry != sizeof(Elf64_Relr) ||
            (p->jmprel_size && plt_type != DT_RELA))
                return error_set(p->e, -EBADMSG, "%s: dynamic section: relocations of an unknown form",
                                 image->path);
        if (p->strtab_size && !image_bytes(image, p->strtab, p->strtab_size))
                return error_set(p->e, -EBADMSG, "%s: dynamic section: string table outside the image",
                                 image->path);
        return read_strings(p, all, n_needed);
}

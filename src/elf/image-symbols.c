/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/image-parse.h"

#include <errno.h>
#include <inttypes.h>

/* Version names by version index; the table grows to the largest index that is named. */
typedef struct Versions {
        const char **names;
        size_t n;
} Versions;

enum { VERSION_INDEX = 0x7fff, VERSION_HIDDEN = 0x8000 };

static const ImageSection *section_of_type(const Image *image, uint32_t type) {
        for (size_t i = 1; i < image->n_sections; i++)
                if (image->sections[i].type == type)
                        return &image->sections[i];
        return NULL;
}

/* The string table that a section links to, or NULL. */
static const ImageSection *linked_strings(const ImageParse *p, const ImageSection *s) {
        size_t link = p->headers[s - p->image->sections].sh_link;

        return link < p->image->n_sections && p->image->sections[link].type == SHT_STRTAB
                       ? &p->image->sections[link]
                       : NULL;
}

static int name_version(ImageParse *p, Versions *v, const ImageSection *s, const ImageSection *strings,
                        uint16_t index, uint32_t name) {
        const char *text = strings ? image_table_string(strings->bytes, strings->size, name) : NULL;

        index &= VERSION_INDEX;
        if (!text)
                return error_set(p->e, -EBADMSG, "%s: section %s: a version name is outside the string table",
                                 p->image->path, s->name);
        if (!v->names)
                v->names = arena_newa(p->image->arena, const char *, VERSION_INDEX + 1);
        v->names[index] = text;
        v->n = MAX(v->n, (size_t)index + 1);
        return 0;
}

static int cut_short(ImageParse *p, const ImageSection *s) {
        return error_set(p->e, -EBADMSG, "%s: section %s: cut short or out of order", p->image->path,
                         s->name);
}

static int read_defined_versions(ImageParse *p, Versions *v) {
        const ImageSection *s = section_of_type(p->image, SHT_GNU_verdef), *strings;
        size_t at = 0;

        if (!s || !s->bytes)
                return 0;
        strings = linked_strings(p, s);
        for (;;) {
                Cursor c = cursor_make(s->bytes, s->size);
                uint32_t next, aux;
                uint16_t flags, index, n_aux;
                int r;

                cursor_seek(&c, at);
                cursor_u16(&c); /* vd_version */
                flags = cursor_u16(&c);
                index = cursor_u16(&c);
                n_aux = cursor_u16(&c);
                cursor_u32(&c); /* vd_hash */
                aux = cursor_u32(&c);
                next = cursor_u32(&c);
                if (c.failed)
                        return cut_short(p, s);
                /* The base definition names the file, not a version of its symbols. */
                if (!(flags & VER_FLG_BASE) && n_aux) {
                        cursor_seek(&c, at + aux);
                        r = name_version(p, v, s, strings, index, cursor_u32(&c));
                        if (c.failed)
                                return cut_short(p, s);
                        if (r < 0)
                                return r;
                }
                if (next == 0)
                        return 0;
                at += next; /* strictly forward, and the seek checks the end */
        }
}

static int read_needed_versions(ImageParse *p, Versions *v) {
        const ImageSection *s = section_of_type(p->image, SHT_GNU_verneed), *strings;
        size_t at = 0, steps = 0;

        if (!s || !s->bytes)
                return 0;
        strings = linked_strings(p, s);
        for (;;) {
                Cursor c = cursor_make(s->bytes, s->size);
                uint32_t next;
                uint16_t n_aux;
                size_t aux;

                cursor_seek(&c, at);
                cursor_u16(&c); /* vn_version */
                n_aux = cursor_u16(&c);
                cursor_u32(&c); /* vn_file */
                aux = at + cursor_u32(&c);
                next = cursor_u32(&c);
                if (c.failed)
                        return cut_short(p, s);
                for (uint16_t i = 0; i < n_aux; i++) {
                        uint32_t name, aux_next;
                        uint16_t index;
                        int r;

                        /* Each version has an index of its own, so more steps than indexes are a loop. */
                        if (++steps > VERSION_INDEX)
                                return cut_short(p, s);
                        cursor_seek(&c, aux);
                        cursor_u32(&c); /* vna_hash */
                        cursor_u16(&c); /* vna_flags */
                        index = cursor_u16(&c);
                        name = cursor_u32(&c);
                        aux_next = cursor_u32(&c);
                        if (c.failed)
                                return cut_short(p, s);
                        r = name_version(p, v, s, strings, index, name);
                        if (r < 0)
                                return r;
                        if (aux_next == 0)
                                break;
                        aux += aux_next;
                }
                if (next == 0)
                        return 0;
                at += next;
        }
}

static int read_table(ImageParse *p, const ImageSection *s, ImageSymbol **out, size_t *out_n) {
        Image *image = p->image;
        const ImageSection *strings = linked_strings(p, s);
        size_t n = s->size / sizeof(Elf64_Sym);
        Cursor c = cursor_make(s->bytes, s->size);
        ImageSymbol *symbols;

        if (s->size % sizeof(Elf64_Sym))
                return error_set(p->e, -EBADMSG, "%s: section %s: not a whole number of symbols", image->path,
                                 s->name);
        if (n > IMAGE_MAX_SYMBOLS)
                return error_set(p->e, -EBADMSG, "%s: section %s: %zu symbols are over the limit",
                                 image->path, s->name, n);
        symbols = arena_newa(image->arena, ImageSymbol, n);
        for (size_t i = 0; i < n; i++) {
                ImageSymbol *symbol = &symbols[i];
                uint32_t name = cursor_u32(&c);
                uint8_t info = cursor_u8(&c);

                symbol->type = ELF64_ST_TYPE(info);
                symbol->bind = ELF64_ST_BIND(info);
                symbol->other = cursor_u8(&c);
                symbol->defined = cursor_u16(&c) != SHN_UNDEF;
                symbol->addr = cursor_u64(&c);
                symbol->size = cursor_u64(&c);
                symbol->version = "";
                symbol->name = name ? NULL : "";
                if (!symbol->name && strings)
                        symbol->name = image_table_string(strings->bytes, strings->size, name);
                if (!symbol->name)
                        return error_set(p->e, -EBADMSG,
                                         "%s: section %s: symbol %zu: its name is outside the string table",
                                         image->path, s->name, i);
        }
        *out = symbols;
        *out_n = n;
        return 0;
}

static int apply_versions(ImageParse *p) {
        Image *image = p->image;
        const ImageSection *s = section_of_type(image, SHT_GNU_versym);
        Versions v = { 0 };
        Cursor c;
        int r;

        if (!s || !s->bytes)
                return 0;
        if ((r = read_defined_versions(p, &v)) < 0 || (r = read_needed_versions(p, &v)) < 0)
                return r;
        if (s->size != image->n_dynsyms * 2)
                return error_set(p->e, -EBADMSG, "%s: section %s: not one version a symbol", image->path,
                                 s->name);
        c = cursor_make(s->bytes, s->size);
        for (size_t i = 0; i < image->n_dynsyms; i++) {
                uint16_t value = cursor_u16(&c), index = value & VERSION_INDEX;
                ImageSymbol *symbol = &image->dynsyms[i];

                symbol->hidden_version = value & VERSION_HIDDEN;
                /* Local and global without a version; 1 is also the base definition's index. */
                if (index <= 1)
                        continue;
                if (index >= v.n || !v.names[index])
                        return error_set(p->e, -EBADMSG, "%s: symbol %s: version %u is not described",
                                         image->path, symbol->name, index);
                symbol->version = v.names[index];
        }
        return 0;
}

int image_parse_symbols(ImageParse *p) {
        Image *image = p->image;
        const ImageSection *dynsym = section_of_type(image, SHT_DYNSYM),
                           *symtab = section_of_type(image, SHT_SYMTAB);
        int r;

        if (dynsym && dynsym->bytes && !p->debug_only) {
                /* The loader goes by the dynamic section alone: what we read must be what it reads. */
                if (!image->dynamic || dynsym->addr != p->symtab)
                        return error_set(p->e, -EBADMSG,
                                         "%s: section %s: is not the dynamic section's symbol table",
                                         image->path, dynsym->name);
                r = read_table(p, dynsym, &image->dynsyms, &image->n_dynsyms);
                if (r < 0)
                        return r;
                r = apply_versions(p);
                if (r < 0)
                        return r;
        }
        if (symtab && symtab->bytes)
                return read_table(p, symtab, &image->syms, &image->n_syms);
        return 0;
}

int image_add_symbols(Image *image, const Image *debug, Error *e) {
        ImageSymbol *symbols;

        if (!build_id_equal(&image->build_id, &debug->build_id))
                return error_set(e, -EINVAL, "%s: its build-id is not that of %s", debug->path, image->path);
        symbols = arena_newa(image->arena, ImageSymbol, debug->n_syms);
        for (size_t i = 0; i < debug->n_syms; i++) {
                symbols[i] = debug->syms[i];
                symbols[i].name = *debug->syms[i].name ? arena_strdup(image->arena, debug->syms[i].name) : "";
                symbols[i].version = "";
        }
        image->syms = symbols;
        image->n_syms = debug->n_syms;
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/image.h"
#include "base/macro.h"
#include "elf/image-parse.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

const char *image_table_string(const uint8_t *table, uint64_t size, uint64_t offset) {
        if (!table || offset >= size || table[size - 1] != 0)
                return NULL;
        return (const char *)table + offset;
}

static int unsupported(const char *path, const char *what, Error *e) {
        error_set(e, -ENOEXEC, "%s: %s", path, what);
        return IMAGE_UNSUPPORTED;
}

int image_check_header(const char *path, Cursor c, Error *e) {
        const uint8_t *ident = cursor_take(&c, EI_NIDENT);
        uint16_t type = cursor_u16(&c), machine = cursor_u16(&c);

        if (c.size < SELFMAG || memcmp(c.bytes, ELFMAG, SELFMAG) != 0) {
                error_set(e, -ENOEXEC, "%s: not an ELF file", path);
                return IMAGE_NOT_ELF;
        }
        if (!ident)
                return error_set(e, -EBADMSG, "%s: ELF header: cut short", path);
        if (ident[EI_CLASS] != ELFCLASS64)
                return unsupported(path, ident[EI_CLASS] == ELFCLASS32 ? "32-bit ELF" : "unknown ELF class",
                                   e);
        if (ident[EI_DATA] != ELFDATA2LSB)
                return unsupported(path, "not little-endian", e);
        if (c.failed || c.size < sizeof(Elf64_Ehdr))
                return error_set(e, -EBADMSG, "%s: ELF header: cut short", path);
        if (machine != EM_X86_64) {
                error_set(e, -ENOEXEC, "%s: machine %u is not x86-64", path, machine);
                return IMAGE_UNSUPPORTED;
        }
        if (type != ET_DYN && type != ET_EXEC)
                return unsupported(path,
                                   type == ET_REL ? "relocatable object, not an executable or shared library"
                                   : type == ET_CORE ? "core dump, not an executable or shared library"
                                                     : "neither an executable nor a shared library",
                                   e);
        return 0;
}

static int read_sections(ImageParse *p, Elf *elf, const GElf_Ehdr *header) {
        Image *image = p->image;
        size_t n = 0, names_at = 0;
        const ImageSection *names;

        if (header->e_shoff == 0)
                return unsupported(image->path, "its section headers are stripped", p->e);
        if (elf_getshdrnum(elf, &n) < 0 || n == 0 || elf_getshdrstrndx(elf, &names_at) < 0 || names_at >= n)
                return error_set(p->e, -EBADMSG, "%s: section header table at %#" PRIx64 ": outside the file",
                                 image->path, header->e_shoff);
        if (n > IMAGE_MAX_SECTIONS)
                return error_set(p->e, -EBADMSG, "%s: %zu sections are over the limit", image->path, n);
        image->sections = arena_newa(image->arena, ImageSection, n);
        p->headers = arena_newa(image->arena, GElf_Shdr, n);
        image->n_sections = n;
        for (size_t i = 0; i < n; i++) {
                GElf_Shdr *h = &p->headers[i];
                Elf_Scn *scn = elf_getscn(elf, i);

                if (!scn || !gelf_getshdr(scn, h))
                        return error_set(p->e, -EBADMSG, "%s: section %zu: header unreadable", image->path,
                                         i);
                if (i == 0)
                        *h = (GElf_Shdr){ 0 }; /* its fields extend the ELF header's */
                image->sections[i] = (ImageSection){ .name = "",
                                                     .type = h->sh_type,
                                                     .flags = h->sh_flags,
                                                     .addr = h->sh_addr,
                                                     .size = h->sh_size,
                                                     .align = h->sh_addralign };
                if (h->sh_type == SHT_NULL) {
                        image->sections[i].size = 0;
                        continue;
                }
                if (h->sh_type == SHT_NOBITS)
                        continue;
                if (h->sh_offset > image->file.size || h->sh_size > image->file.size - h->sh_offset)
                        return error_set(p->e, -EBADMSG, "%s: section %zu: lies beyond the end of the file",
                                         image->path, i);
                image->sections[i].bytes = image->file.bytes + h->sh_offset;
        }
        names = &image->sections[names_at];
        for (size_t i = 1; i < n; i++) {
                const char *name = image_table_string(names->bytes, names->size, p->headers[i].sh_name);

                if (!name)
                        return error_set(p->e, -EBADMSG,
                                         "%s: section %zu: its name lies outside the name table", image->path,
                                         i);
                image->sections[i].name = name;
        }
        return 0;
}

/* Debug files keep the section headers of the program's contents, without the contents. */
static bool is_debug_only(const Image *image) {
        bool empty = false;

        for (size_t i = 0; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];

                if ((s->flags & (SHF_ALLOC | SHF_EXECINSTR)) != (SHF_ALLOC | SHF_EXECINSTR) || s->size == 0)
                        continue;
                if (s->type != SHT_NOBITS)
                        return false;
                empty = true;
        }
        return empty;
}

static int add_load(ImageParse *p, size_t i, const GElf_Phdr *h) {
        Image *image = p->image;
        ImageSegment *s = &image->segments[image->n_segments];
        uint64_t limit = UINT64_C(1) << IMAGE_MAX_ADDR_BITS;

        if (h->p_memsz == 0)
                return 0;
        if (h->p_vaddr >= limit || h->p_memsz > limit - h->p_vaddr)
                return error_set(p->e, -EBADMSG, "%s: segment %zu: addresses out of range", image->path, i);
        if (!p->debug_only) {
                if (h->p_filesz > h->p_memsz)
                        return error_set(p->e, -EBADMSG, "%s: segment %zu: larger in the file than in memory",
                                         image->path, i);
                if (h->p_offset > image->file.size || h->p_filesz > image->file.size - h->p_offset)
                        return error_set(p->e, -EBADMSG, "%s: segment %zu: lies beyond the end of the file",
                                         image->path, i);
                if ((h->p_offset ^ h->p_vaddr) & (PAGE_SIZE_X86 - 1))
                        return error_set(p->e, -EBADMSG,
                                         "%s: segment %zu: offset and address differ within the page",
                                         image->path, i);
        }
        if (image->n_segments && h->p_vaddr < s[-1].addr + s[-1].size)
                return error_set(p->e, -EBADMSG, "%s: segment %zu: overlaps or precedes the one before it",
                                 image->path, i);
        *s = (ImageSegment){ .offset = h->p_offset,
                             .addr = h->p_vaddr,
                             .file_size = p->debug_only ? 0 : h->p_filesz,
                             .size = h->p_memsz,
                             .flags = h->p_flags };
        image->n_segments++;
        return 0;
}

static int read_segments(ImageParse *p, Elf *elf, const GElf_Ehdr *header) {
        Image *image = p->image;
        size_t n = 0;
        int r;

        if (header->e_phoff == 0)
                return error_set(p->e, -EBADMSG, "%s: no program headers", image->path);
        if (elf_getphdrnum(elf, &n) < 0 || n == 0)
                return error_set(p->e, -EBADMSG, "%s: program headers at %#" PRIx64 ": outside the file",
                                 image->path, header->e_phoff);
        if (n > IMAGE_MAX_SEGMENTS)
                return error_set(p->e, -EBADMSG, "%s: %zu program headers are over the limit", image->path,
                                 n);
        p->segments = arena_newa(image->arena, GElf_Phdr, n);
        p->n_segments = n;
        image->segments = arena_newa(image->arena, ImageSegment, n);
        for (size_t i = 0; i < n; i++) {
                GElf_Phdr *h = &p->segments[i];

                if (!gelf_getphdr(elf, (int)i, h))
                        return error_set(p->e, -EBADMSG, "%s: program header %zu: outside the file",
                                         image->path, i);
                switch (h->p_type) {
                case PT_LOAD:
                        r = add_load(p, i, h);
                        if (r < 0)
                                return r;
                        break;
                case PT_TLS:
                        image->has_tls = true;
                        image->tls_addr = h->p_vaddr;
                        image->tls_file_size = h->p_filesz;
                        image->tls_size = h->p_memsz;
                        image->tls_align = h->p_align;
                        break;
                case PT_GNU_RELRO:
                        image->relro_addr = h->p_vaddr;
                        image->relro_size = h->p_memsz;
                        break;
                case PT_DYNAMIC:
                        image->dynamic = true;
                        break;
                }
        }
        if (image->n_segments == 0)
                return error_set(p->e, -EBADMSG, "%s: no loadable segment", image->path);
        image->lo = align_down(image->segments[0].addr, PAGE_SIZE_X86);
        image->hi = align_up(image->segments[image->n_segments - 1].addr +
                                     image->segments[image->n_segments - 1].size,
                             PAGE_SIZE_X86);
        return 0;
}

/* The segments that name a part of the loaded ones must lie inside them. */
static int check_segments(ImageParse *p) {
        Image *image = p->image;

        for (size_t i = 0; i < p->n_segments; i++) {
                const GElf_Phdr *h = &p->segments[i];
                const char *what = h->p_type == PT_TLS         ? "PT_TLS"
                                   : h->p_type == PT_DYNAMIC   ? "PT_DYNAMIC"
                                   : h->p_type == PT_INTERP    ? "PT_INTERP"
                                   : h->p_type == PT_GNU_RELRO ? "PT_GNU_RELRO"
                                                               : NULL;
                const ImageSegment *s;

                if (!what || p->debug_only)
                        continue;
                s = image_segment_at(image, h->p_vaddr);
                if (h->p_type == PT_GNU_RELRO) {
                        /* Its end is rounded up to a page: past the segment's own end, within its last page.
                         */
                        if (h->p_memsz &&
                            (!s || h->p_memsz > align_up(s->addr + s->size, PAGE_SIZE_X86) - h->p_vaddr))
                                return error_set(p->e, -EBADMSG, "%s: %s: outside the loaded segments",
                                                 image->path, what);
                } else if (h->p_filesz && (!image_bytes(image, h->p_vaddr, h->p_filesz) ||
                                           h->p_offset - s->offset != h->p_vaddr - s->addr)) {
                        return error_set(p->e, -EBADMSG, "%s: %s: outside the loaded segments", image->path,
                                         what);
                }
                if (h->p_type == PT_TLS && (h->p_filesz > h->p_memsz || h->p_memsz >> IMAGE_MAX_ADDR_BITS))
                        return error_set(p->e, -EBADMSG, "%s: %s: impossible size", image->path, what);
                if (h->p_type == PT_INTERP && h->p_filesz) {
                        const uint8_t *bytes = image_bytes(image, h->p_vaddr, h->p_filesz);

                        image->interp = image_table_string(bytes, h->p_filesz, 0);
                        if (!image->interp)
                                return error_set(p->e, -EBADMSG, "%s: %s: not a string", image->path, what);
                }
        }
        return 0;
}

static int section_order(const void *a, const void *b) {
        const SectionAddress *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Sorts the sections that have memory, and holds them against the segments. */
static int index_sections(ImageParse *p) {
        ImageInner *inner = (ImageInner *)p->image;
        Image *image = p->image;

        inner->by_addr = arena_newa(image->arena, SectionAddress, image->n_sections);
        for (size_t i = 1; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];
                const ImageSegment *segment;

                if (!(s->flags & SHF_ALLOC) || s->size == 0 ||
                    (s->type == SHT_NOBITS && (s->flags & SHF_TLS)))
                        continue;
                segment = image_segment_at(image, s->addr);
                if (!segment || s->size > segment->size - (s->addr - segment->addr))
                        return error_set(p->e, -EBADMSG, "%s: section %s: not inside one loaded segment",
                                         image->path, s->name);
                if (s->type != SHT_NOBITS && !p->debug_only &&
                    image_bytes(image, s->addr, s->size) != s->bytes)
                        return error_set(p->e, -EBADMSG,
                                         "%s: section %s: its place in the file is not its segment's",
                                         image->path, s->name);
                inner->by_addr[inner->n_by_addr++] = (SectionAddress){ s->addr, s };
        }
        qsort(inner->by_addr, inner->n_by_addr, sizeof(inner->by_addr[0]), section_order);
        for (size_t i = 1; i < inner->n_by_addr; i++) {
                const ImageSection *before = inner->by_addr[i - 1].section;

                if (inner->by_addr[i].addr - before->addr < before->size)
                        return error_set(p->e, -EBADMSG, "%s: sections %s and %s overlap", image->path,
                                         before->name, inner->by_addr[i].section->name);
        }
        inner->section_blocks = blocks_make(image->arena, inner->by_addr, inner->n_by_addr,
                                            sizeof(SectionAddress), image->lo, image->hi);
        return 0;
}

static int read_notes(ImageParse *p) {
        Image *image = p->image;
        Cursor file = cursor_make(image->file.bytes, image->file.size);
        int r;

        for (size_t i = 0; i < p->n_segments && image->build_id.n == 0 && !p->debug_only; i++) {
                const GElf_Phdr *h = &p->segments[i];
                Cursor notes = cursor_slice(&file, h->p_offset, h->p_filesz);

                if (h->p_type != PT_NOTE)
                        continue;
                if (notes.failed)
                        return error_set(p->e, -EBADMSG, "%s: segment %zu: lies beyond the end of the file",
                                         image->path, i);
                r = image_parse_build_id(image->path, notes, h->p_align, &image->build_id, p->e);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < image->n_sections && image->build_id.n == 0; i++) {
                const ImageSection *s = &image->sections[i];

                if (s->type != SHT_NOTE || !s->bytes)
                        continue;
                r = image_parse_build_id(image->path, cursor_make(s->bytes, s->size), s->align,
                                         &image->build_id, p->e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_debug_link(ImageParse *p) {
        const ImageSection *s = image_section(p->image, ".gnu_debuglink");
        const char *name;
        uint32_t crc;
        Cursor c;

        if (!s || !s->bytes)
                return 0;
        c = cursor_make(s->bytes, s->size);
        name = cursor_string(&c);
        cursor_seek(&c, align_up(c.at, 4));
        crc = cursor_u32(&c);
        if (c.failed)
                return error_set(p->e, -EBADMSG, "%s: .gnu_debuglink: cut short", p->image->path);
        p->image->debug_link = name;
        p->image->debug_link_crc = crc;
        return 0;
}

static int parse(ImageParse *p, Elf *elf) {
        Image *image = p->image;
        const ImageSection *s;
        GElf_Ehdr header;
        int r;

        if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
                return error_set(p->e, -EBADMSG, "%s: ELF header: %s", image->path, elf_errmsg(-1));
        image->type = header.e_type;
        image->machine = header.e_machine;
        image->entry = header.e_entry;
        if ((r = read_sections(p, elf, &header)) != 0)
                return r;
        p->debug_only = is_debug_only(image);
        if ((r = read_segments(p, elf, &header)) < 0 || (r = check_segments(p)) < 0 ||
            (r = index_sections(p)) < 0 || (r = read_notes(p)) < 0 || (r = read_debug_link(p)) < 0 ||
            (r = image_parse_dynamic(p)) < 0 || (r = image_parse_symbols(p)) < 0 ||
            (r = image_parse_relocs(p)) < 0 || (r = image_parse_eh(p)) < 0 || (r = image_parse_plt(p)) < 0)
                return r;
        image->executable = image->executable || image->type == ET_EXEC || (image->interp && !image->soname);
        s = image_section(image, ".debug_info");
        if (!s)
                s = image_section(image, ".zdebug_info");
        image->has_debug_info = s && s->bytes && s->size;
        return 0;
}

int image_parse(const char *path, FileBytes *file, Image **out, Error *e) {
        Arena *arena;
        Image *image;
        ImageParse p;
        Elf *elf;
        int r;

        r = image_check_header(path, cursor_make(file->bytes, file->size), e);
        if (r != 0) {
                file_release(file);
                return r;
        }
        arena = arena_new();
        image = &arena_new0(arena, ImageInner)->image;
        image->arena = arena;
        image->path = arena_strdup(arena, path);
        image->file = TAKE(*file, (FileBytes){ 0 });
        p = (ImageParse){ .image = image, .e = e };

        elf_version(EV_CURRENT);
        /* libelf does not write to it: it is opened for reading and has the host's byte order. */
        elf = elf_memory((char *)(uintptr_t)image->file.bytes, image->file.size);
        r = parse(&p, elf);
        elf_end(elf);
        if (r != 0) {
                image_free(image);
                return r;
        }
        *out = image;
        return 0;
}

static int parse_read(int r, const char *path, FileBytes *file, Image **out, Error *e) {
        if (r == -ENODATA) {
                error_set(e, -ENOEXEC, "%s: empty, not an ELF file", path);
                return IMAGE_NOT_ELF;
        }
        return r < 0 ? r : image_parse(path, file, out, e);
}

int image_open(const char *path, Image **out, Error *e) {
        FileBytes file = { 0 };

        return parse_read(file_read(path, IMAGE_MAX_SIZE, &file, e), path, &file, out, e);
}

int image_open_fd(int fd, const char *name, Image **out, Error *e) {
        FileBytes file = { 0 };

        return parse_read(file_read_fd(fd, name, IMAGE_MAX_SIZE, &file, e), name, &file, out, e);
}

Image *image_free(Image *image) {
        if (image) {
                Arena *arena = image->arena;

                file_release(&image->file);
                arena_free(arena);
        }
        return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "patch/digest.h"
#include "patch/format.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A growing buffer that never grows past PATCH_MAX_FILE: past it, `full` is set and stays set. */
typedef struct Buffer {
        uint8_t *bytes;
        size_t n, room;
        bool full;
} Buffer;

static void buffer_free(Buffer *b) {
        free(b->bytes);
}

static void put(Buffer *b, const void *bytes, size_t size) {
        if (b->full || size > PATCH_MAX_FILE - b->n) {
                b->full = true;
                return;
        }
        if (size > b->room - b->n) {
                size_t room = MAX(b->room * 2, align_up(b->n + size, PAGE_SIZE_X86));
                uint8_t *p = realloc(b->bytes, room);

                if (!p) {
                        b->full = true;
                        return;
                }
                b->bytes = p;
                b->room = room;
        }
        if (size)
                memcpy(b->bytes + b->n, bytes, size);
        b->n += size;
}

static void put_u8(Buffer *b, uint8_t v) {
        put(b, &v, sizeof(v));
}
static void put_u16(Buffer *b, uint16_t v) {
        put(b, &v, sizeof(v));
}
static void put_u32(Buffer *b, uint32_t v) {
        put(b, &v, sizeof(v));
}
static void put_u64(Buffer *b, uint64_t v) {
        put(b, &v, sizeof(v));
}
static void put_string(Buffer *b, const char *s) {
        put(b, s, strlen(s) + 1);
}
static void put_align(Buffer *b, size_t alignment) {
        static const uint8_t zeros[16];

        put(b, zeros, align_up(b->n, alignment) - b->n);
}

static void put_note(Buffer *b, FormatNote type, const Buffer *content) {
        put_u32(b, sizeof(FORMAT_OWNER));
        put_u32(b, (uint32_t)content->n);
        put_u32(b, FORMAT_NOTE_TYPE + type);
        put_string(b, FORMAT_OWNER);
        put(b, content->bytes, content->n);
        put_align(b, 4);
        b->full |= content->full;
}

static void write_header(Buffer *b, const Patch *p) {
        put_u32(b, FORMAT_VERSION);
        put_u32(b, (p->executable ? FORMAT_FLAG_EXECUTABLE : 0) | (p->low_addresses ? FORMAT_FLAG_LOW : 0));
        put_u64(b, p->old_lo);
        put_u64(b, p->old_hi);
        put_u64(b, p->lo);
        put_u64(b, p->hi);
        put_u64(b, p->eh_frame);
        put_u64(b, p->eh_frame_size);
        put_u32(b, (uint32_t)p->old_id.n);
        put(b, p->old_id.bytes, p->old_id.n);
        put_u32(b, (uint32_t)p->new_id.n);
        put(b, p->new_id.bytes, p->new_id.n);
        put_string(b, p->name);
        put_string(b, p->old_path);
        put_string(b, p->new_path);
        put_string(b, p->old_version);
        put_string(b, p->new_version);
}

static void write_verdict(Buffer *b, const Patch *p) {
        put_u32(b, p->verdict.grade);
        put_string(b, p->verdict.evidence);
        put_u32(b, (uint32_t)p->verdict.n);
        for (size_t i = 0; i < p->verdict.n; i++) {
                const Finding *f = &p->verdict.findings[i];

                put_string(b, refusal_get(f->code)->code);
                put_string(b, f->subject);
                put_string(b, f->detail);
        }
}

static void write_sites(Buffer *b, const Patch *p) {
        put_u32(b, (uint32_t)p->n_sites);
        for (size_t i = 0; i < p->n_sites; i++) {
                const PatchSite *s = &p->sites[i];

                put_u64(b, s->old_addr);
                put_u64(b, s->new_addr);
                put_u64(b, s->jump_addr);
                put_u64(b, s->patch_addr);
                put(b, s->expect, sizeof(s->expect));
                put_u8(b, s->n_expect);
                put_u8(b, s->short_at);
                put_string(b, s->name);
        }
}

static void write_ranges(Buffer *b, const Patch *p) {
        put_u32(b, (uint32_t)p->n_ranges);
        for (size_t i = 0; i < p->n_ranges; i++) {
                put_u64(b, p->ranges[i].addr);
                put_u64(b, p->ranges[i].size);
                put_u32(b, p->ranges[i].site);
        }
}

static void write_imports(Buffer *b, const Patch *p) {
        put_u32(b, (uint32_t)p->n_imports);
        for (size_t i = 0; i < p->n_imports; i++) {
                const PatchImport *m = &p->imports[i];

                put_u8(b, (m->weak ? FORMAT_IMPORT_WEAK : 0) | (m->function ? FORMAT_IMPORT_FUNCTION : 0));
                put_string(b, m->name);
                put_string(b, m->version);
        }
}

static void write_addends(Buffer *b, const Patch *p) {
        put_u32(b, (uint32_t)p->n_relocs);
        for (size_t i = 0; i < p->n_relocs; i++)
                put_u64(b, (uint64_t)p->relocs[i].addend);
}

static void write_variables(Buffer *b, const Patch *p) {
        put_u32(b, (uint32_t)p->n_variables);
        for (size_t i = 0; i < p->n_variables; i++) {
                put_u64(b, p->variables[i].addr);
                put_u64(b, p->variables[i].size);
                put_u64(b, p->variables[i].initial);
                put_u32(b, p->variables[i].align);
                put_string(b, p->variables[i].name);
        }
        put_u32(b, (uint32_t)p->n_testimonies);
        for (size_t i = 0; i < p->n_testimonies; i++) {
                put_u64(b, p->testimonies[i].key);
                put_u32(b, p->testimonies[i].variable);
        }
        put_u32(b, (uint32_t)p->n_users);
        for (size_t i = 0; i < p->n_users; i++) {
                put_u64(b, p->users[i].old_addr);
                put_u64(b, p->users[i].content);
                put_u64(b, p->users[i].shape);
        }
}

static void write_words(Buffer *b, const Patch *p) {
        put_u32(b, (uint32_t)p->n_words);
        for (size_t i = 0; i < p->n_words; i++) {
                put_u64(b, p->words[i].where);
                put_u64(b, p->words[i].old_value);
                put_u32(b, p->words[i].base == PATCH_BASE_OLD ? FORMAT_SYM_OLD : FORMAT_SYM_SHADOW);
                put_u64(b, p->words[i].value);
        }
}

static void write_notes(Buffer *b, const Patch *p) {
        static void (*const writers[])(Buffer *, const Patch *) = {
                [FORMAT_NOTE_HEADER] = write_header,       [FORMAT_NOTE_VERDICT] = write_verdict,
                [FORMAT_NOTE_SITES] = write_sites,         [FORMAT_NOTE_RANGES] = write_ranges,
                [FORMAT_NOTE_IMPORTS] = write_imports,     [FORMAT_NOTE_ADDENDS] = write_addends,
                [FORMAT_NOTE_VARIABLES] = write_variables, [FORMAT_NOTE_WORDS] = write_words,
        };

        for (size_t type = FORMAT_NOTE_HEADER; type < ELEMENTSOF(writers); type++) {
                _cleanup_(buffer_free) Buffer content = { 0 };

                writers[type](&content, p);
                put_note(b, (FormatNote)type, &content);
        }
}

/* A name for code in the symbol table: of every site, and of carried code that no site leads to. */
typedef struct Name {
        uint64_t addr;
        const char *name;
} Name;

static int compare_names(const void *a, const void *b) {
        const Name *x = a, *y = b;

        if (x->addr != y->addr)
                return x->addr < y->addr ? -1 : 1;
        return strcmp(x->name, y->name);
}

static int compare_addrs(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static Name *collect_names(const Patch *p, size_t *n) {
        Name *names = calloc(p->n_sites + p->n_sections + 1, sizeof(*names));
        _cleanup_(freep) uint64_t *taken = calloc(p->n_sites + 1, sizeof(*taken));

        *n = 0;
        if (!names || !taken) {
                free(names);
                return NULL;
        }
        for (size_t i = 0; i < p->n_sites; i++) {
                taken[i] = p->sites[i].new_addr;
                names[(*n)++] = (Name){ p->sites[i].new_addr, p->sites[i].name };
        }
        qsort(taken, p->n_sites, sizeof(*taken), compare_addrs);
        for (size_t i = 0; i < p->n_sections; i++) {
                const PatchSection *s = &p->sections[i];

                if ((s->flags & SHF_EXECINSTR) && strncmp(s->name, ".text.", 6) == 0 && s->name[6] &&
                    !bsearch(&s->addr, taken, p->n_sites, sizeof(*taken), compare_addrs))
                        names[(*n)++] = (Name){ s->addr, s->name + 6 };
        }
        qsort(names, *n, sizeof(*names), compare_names);
        return names;
}

static void put_symbol(Buffer *b, size_t name, unsigned info, unsigned section, uint64_t value,
                       uint64_t size) {
        put_u32(b, (uint32_t)name);
        put_u8(b, (uint8_t)info);
        put_u8(b, STV_DEFAULT);
        put_u16(b, (uint16_t)section);
        put_u64(b, value);
        put_u64(b, size);
}

/* Writes .symtab and .strtab; the number of local symbols goes to *n_local. */
static int write_symbols(const Patch *p, Buffer *symbols, Buffer *strings, size_t *n_local) {
        size_t n;
        _cleanup_(freep) Name *names = collect_names(p, &n);

        if (!names)
                return -ENOMEM;
        put_u8(strings, 0);
        put_symbol(symbols, 0, 0, SHN_UNDEF, 0, 0);
        put_symbol(symbols, strings->n, ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE), SHN_ABS, 0, 0);
        put_string(strings, FORMAT_OLD_BASE);
        put_symbol(symbols, strings->n, ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE), SHN_ABS, 0, 0);
        put_string(strings, FORMAT_SHADOW_BASE);
        for (size_t i = 0; i < n; i++) {
                const PatchSection *s = patch_section_at(p, names[i].addr);
                uint64_t end = s->addr + s->size;
                size_t k = i + 1;

                while (k < n && names[k].addr == names[i].addr)
                        k++;
                if (k < n)
                        end = MIN(end, names[k].addr);
                put_symbol(symbols, strings->n, ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
                           (unsigned)(s - p->sections) + 1, names[i].addr, end - names[i].addr);
                put_string(strings, names[i].name);
        }
        *n_local = symbols->n / FORMAT_SYM;
        for (size_t i = 0; i < p->n_imports; i++) {
                const PatchImport *m = &p->imports[i];

                put_symbol(
                        symbols, strings->n,
                        ELF64_ST_INFO(m->weak ? STB_WEAK : STB_GLOBAL, m->function ? STT_FUNC : STT_NOTYPE),
                        SHN_UNDEF, 0, 0);
                put(strings, m->name, strlen(m->name));
                if (*m->version) {
                        put_u8(strings, '@');
                        put(strings, m->version, strlen(m->version));
                }
                put_u8(strings, 0);
        }
        return 0;
}

static void write_relocs(Buffer *b, const Patch *p, size_t n_local) {
        for (size_t i = 0; i < p->n_relocs; i++) {
                const PatchReloc *r = &p->relocs[i];
                bool import = r->base == PATCH_BASE_IMPORT;
                uint64_t symbol = import                      ? n_local + r->value
                                  : r->base == PATCH_BASE_OLD ? FORMAT_SYM_OLD
                                                              : FORMAT_SYM_SHADOW;

                put_u64(b, r->where);
                put_u64(b, ELF64_R_INFO(symbol, (uint64_t)r->type));
                put_u64(b, (uint64_t)r->addend + (import ? 0 : r->value));
        }
}

static void put_section(Buffer *b, size_t name, uint32_t type, uint64_t flags, uint64_t addr, uint64_t offset,
                        uint64_t size, size_t link, size_t info, uint64_t align, uint64_t entry) {
        put_u32(b, (uint32_t)name);
        put_u32(b, type);
        put_u64(b, flags);
        put_u64(b, addr);
        put_u64(b, offset);
        put_u64(b, size);
        put_u32(b, (uint32_t)link);
        put_u32(b, (uint32_t)info);
        put_u64(b, align);
        put_u64(b, entry);
}

static void write_ehdr(Buffer *b, uint64_t entry, uint64_t shoff, size_t n_sections) {
        static const uint8_t ident[EI_NIDENT] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT };

        put(b, ident, sizeof(ident));
        put_u16(b, ET_DYN);
        put_u16(b, EM_X86_64);
        put_u32(b, EV_CURRENT);
        put_u64(b, entry); /* nothing starts there; gdb wants it inside a section */
        put_u64(b, 0);     /* e_phoff */
        put_u64(b, shoff);
        put_u32(b, 0); /* e_flags */
        put_u16(b, FORMAT_EHDR);
        put_u16(b, 0); /* e_phentsize */
        put_u16(b, 0); /* e_phnum */
        put_u16(b, FORMAT_SHDR);
        put_u16(b, (uint16_t)n_sections);
        put_u16(b, (uint16_t)(n_sections - 1)); /* e_shstrndx */
}

/* One section of the tail: appends its content, then describes it. */
static void put_tail(Buffer *file, Buffer *table, Buffer *names, const char *name, uint32_t type,
                     const Buffer *content, size_t link, size_t info, uint64_t align, uint64_t entry) {
        put_align(file, align);
        put_section(table, names->n, type, 0, 0, file->n, content->n, link, info, align, entry);
        put(file, content->bytes, content->n);
        file->full |= content->full;
        put_string(names, name);
}

int patch_write(Patch *p, uint8_t **bytes, size_t *size, Error *e) {
        _cleanup_(buffer_free) Buffer file = { 0 }, table = { 0 }, names = { 0 };
        _cleanup_(buffer_free) Buffer notes = { 0 }, relocs = { 0 }, symbols = { 0 }, strings = { 0 };
        _cleanup_(buffer_free) Buffer header = { 0 };
        size_t tail, n_local = 0, name_at;
        int r;

        r = patch_validate(p, e);
        if (r < 0)
                return r;
        tail = p->n_sections + 1;
        write_notes(&notes, p);
        r = write_symbols(p, &symbols, &strings, &n_local);
        if (r < 0)
                return error_errno(e, r, "patch of %s", p->name);
        write_relocs(&relocs, p, n_local);

        write_ehdr(&file, 0, 0, tail + FORMAT_TAIL_N); /* again below, with the offset of the table */
        put_u8(&names, 0);
        put_section(&table, 0, SHT_NULL, 0, 0, 0, 0, 0, 0, 0, 0);
        for (size_t i = 0; i < p->n_sections; i++) {
                const PatchSection *s = &p->sections[i];

                put_align(&file, 16);
                put_section(&table, names.n, s->type, s->flags, s->addr, file.n, s->size, 0, 0, s->align, 0);
                if (s->bytes)
                        put(&file, s->bytes, s->size);
                put_string(&names, s->name);
        }
        put_tail(&file, &table, &names, FORMAT_NAME_NOTE, SHT_NOTE, &notes, 0, 0, 4, 0);
        put_tail(&file, &table, &names, FORMAT_NAME_RELA, SHT_RELA, &relocs, tail + FORMAT_TAIL_SYMTAB, 0, 8,
                 FORMAT_RELA);
        put_tail(&file, &table, &names, ".symtab", SHT_SYMTAB, &symbols, tail + FORMAT_TAIL_STRTAB, n_local,
                 8, FORMAT_SYM);
        put_tail(&file, &table, &names, ".strtab", SHT_STRTAB, &strings, 0, 0, 1, 0);
        name_at = names.n;
        put_string(&names, ".shstrtab");
        put_section(&table, name_at, SHT_STRTAB, 0, 0, file.n, names.n, 0, 0, 1, 0);
        put(&file, names.bytes, names.n);
        put_align(&file, 8);
        write_ehdr(&header, p->sites[0].new_addr, file.n, tail + FORMAT_TAIL_N);
        put(&file, table.bytes, table.n);
        if (file.full || table.full || names.full || header.full)
                return error_set(e, -EFBIG, "patch of %s: larger than %d MiB, or out of memory", p->name,
                                 PATCH_MAX_FILE >> 20);
        memcpy(file.bytes, header.bytes, header.n);

        r = digest_sha256(file.bytes, file.n, p->digest, e);
        if (r < 0)
                return r;
        *bytes = TAKE_PTR(file.bytes);
        *size = file.n;
        return 0;
}

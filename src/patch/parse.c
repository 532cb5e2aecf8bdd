/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"
#include "base/macro.h"
#include "patch/digest.h"
#include "patch/format.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

/*
 * Reads what patch_write wrote, and nothing else: what is read is validated, written again and
 * compared, so that a patch has exactly one file and the digest of the file is its identity. The
 * passes here only have to be safe on any bytes and exact on good ones.
 */

typedef struct Header {
        uint32_t name, type;
        uint64_t flags, addr, offset, size, align;
} Header;

typedef struct Parse {
        Arena *arena;
        Cursor file;
        Header *headers;
        size_t n_headers;
        Patch *patch;
} Parse;

static int malformed(Error *e, const char *what) {
        return error_set(e, -EBADMSG, "%s", what);
}

static int read_headers(Parse *p, Error *e) {
        static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT };
        Cursor c = p->file;
        const uint8_t *magic = cursor_take(&c, EI_NIDENT);
        uint64_t table;
        Cursor t;

        if (!magic || memcmp(magic, ident, 4) != 0)
                return malformed(e, "not a Staunch patch (not an ELF file)");
        if (memcmp(magic, ident, sizeof(ident)) != 0)
                return malformed(e, "not a Staunch patch (not a 64-bit little-endian ELF file)");
        cursor_seek(&c, 40);
        table = cursor_u64(&c);
        cursor_seek(&c, 60);
        p->n_headers = cursor_u16(&c);
        if (c.failed)
                return malformed(e, "ELF header is cut off");
        if (p->n_headers < 1 + FORMAT_TAIL_N || p->n_headers > 1 + PATCH_MAX_SECTIONS + FORMAT_TAIL_N)
                return malformed(e, "not a Staunch patch (number of sections)");
        t = cursor_slice(&p->file, table, p->n_headers * FORMAT_SHDR);
        if (t.failed)
                return malformed(e, "section headers are cut off");
        p->headers = arena_newa(p->arena, Header, p->n_headers);
        for (size_t i = 0; i < p->n_headers; i++) {
                Header *h = &p->headers[i];

                cursor_seek(&t, i * FORMAT_SHDR);
                h->name = cursor_u32(&t);
                h->type = cursor_u32(&t);
                h->flags = cursor_u64(&t);
                h->addr = cursor_u64(&t);
                h->offset = cursor_u64(&t);
                h->size = cursor_u64(&t);
                cursor_u64(&t); /* link and info follow from the rest */
                h->align = cursor_u64(&t);
        }
        return t.failed ? malformed(e, "section headers") : 0;
}

/* The content of section `index`; failed when it does not lie inside the file. */
static Cursor section_content(const Parse *p, size_t index) {
        const Header *h = &p->headers[index];

        return cursor_slice(&p->file, h->offset, h->size);
}

static const char *section_name(const Cursor *names, uint32_t at) {
        Cursor c = *names;

        cursor_seek(&c, at);
        return cursor_string(&c);
}

static Cursor tail_content(const Parse *p, size_t which) {
        return section_content(p, p->n_headers - FORMAT_TAIL_N + which);
}

static int read_sections(Parse *p, Error *e) {
        Cursor names = tail_content(p, FORMAT_TAIL_SHSTRTAB);
        size_t n = p->n_headers - 1 - FORMAT_TAIL_N;
        const char *note = section_name(&names, p->headers[1 + n + FORMAT_TAIL_NOTE].name);

        if (!note || strcmp(note, FORMAT_NAME_NOTE) != 0 ||
            p->headers[1 + n + FORMAT_TAIL_NOTE].type != SHT_NOTE)
                return malformed(e, "not a Staunch patch (an ELF file without Staunch notes in their place)");
        p->patch->sections = arena_newa(p->arena, PatchSection, n);
        p->patch->n_sections = n;
        for (size_t i = 0; i < n; i++) {
                const Header *h = &p->headers[1 + i];
                PatchSection *s = &p->patch->sections[i];

                *s = (PatchSection){
                        .name = section_name(&names, h->name),
                        .addr = h->addr,
                        .size = h->size,
                        .flags = h->flags,
                        .type = h->type,
                        .align = h->align,
                };
                if (!s->name)
                        return error_set(e, -EBADMSG, "section %zu: name", i);
                if (h->type != SHT_NOBITS) {
                        Cursor content = section_content(p, 1 + i);

                        if (content.failed)
                                return error_set(e, -EBADMSG, "section %zu: content is cut off", i);
                        s->bytes = content.bytes;
                }
        }
        return 0;
}

static bool read_build_id(Cursor *c, BuildId *id) {
        uint32_t n = cursor_u32(c);
        const uint8_t *bytes;

        if (n > BUILD_ID_MAX)
                return false;
        bytes = cursor_take(c, n);
        if (!bytes)
                return false;
        memcpy(id->bytes, bytes, n);
        id->n = n;
        return true;
}

static int read_header(Parse *p, Cursor *c, Error *e) {
        Patch *patch = p->patch;
        uint32_t version = cursor_u32(c), flags = cursor_u32(c);

        if (!c->failed && version != FORMAT_VERSION)
                return error_set(e, -EBADMSG, "format version %u; this program reads version %d", version,
                                 FORMAT_VERSION);
        if (flags & ~(uint32_t)(FORMAT_FLAG_EXECUTABLE | FORMAT_FLAG_LOW))
                return malformed(e, "header: flags");
        patch->executable = flags & FORMAT_FLAG_EXECUTABLE;
        patch->low_addresses = flags & FORMAT_FLAG_LOW;
        patch->old_lo = cursor_u64(c);
        patch->old_hi = cursor_u64(c);
        patch->lo = cursor_u64(c);
        patch->hi = cursor_u64(c);
        patch->eh_frame = cursor_u64(c);
        patch->eh_frame_size = cursor_u64(c);
        if (!read_build_id(c, &patch->old_id) || !read_build_id(c, &patch->new_id))
                return malformed(e, "header: build-id");
        patch->name = cursor_string(c);
        patch->old_path = cursor_string(c);
        patch->new_path = cursor_string(c);
        patch->old_version = cursor_string(c);
        patch->new_version = cursor_string(c);
        return 0;
}

/* A count of records of at least `least` bytes each that can follow; 0 and failed otherwise. */
static size_t read_count(Cursor *c, size_t least, size_t limit) {
        size_t n = cursor_u32(c);

        if (n > limit || n > cursor_left(c) / least) {
                c->failed = true;
                return 0;
        }
        return n;
}

static int read_verdict(Parse *p, Cursor *c, Error *e) {
        Verdict *v = &p->patch->verdict;
        uint32_t grade = cursor_u32(c);

        if (grade > GRADE_PROVED)
                return malformed(e, "verdict: grade");
        verdict_init(v, p->arena);
        v->grade = (LayoutGrade)grade;
        v->evidence = cursor_string(c);
        v->n = v->room = read_count(c, 3, PATCH_MAX_FINDINGS);
        v->findings = arena_newa(p->arena, Finding, v->n);
        for (size_t i = 0; i < v->n; i++) {
                const char *code = cursor_string(c);

                v->findings[i].code = code ? refusal_find(code) : REFUSAL_N;
                if (v->findings[i].code == REFUSAL_N)
                        return error_set(e, -EBADMSG,
                                         "verdict: finding %zu has a code that this program does not know",
                                         i);
                v->findings[i].subject = cursor_string(c);
                v->findings[i].detail = cursor_string(c);
        }
        return 0;
}

static int read_sites(Parse *p, Cursor *c, Error *e) {
        Patch *patch = p->patch;

        (void)e;
        patch->n_sites = read_count(c, 4 * 8 + PATCH_SITE_BYTES + 3, PATCH_MAX_SITES);
        patch->sites = arena_newa(p->arena, PatchSite, patch->n_sites);
        for (size_t i = 0; i < patch->n_sites; i++) {
                PatchSite *s = &patch->sites[i];
                const uint8_t *expect;

                s->old_addr = cursor_u64(c);
                s->new_addr = cursor_u64(c);
                s->jump_addr = cursor_u64(c);
                s->patch_addr = cursor_u64(c);
                expect = cursor_take(c, sizeof(s->expect));
                if (expect)
                        memcpy(s->expect, expect, sizeof(s->expect));
                s->n_expect = cursor_u8(c);
                s->short_at = cursor_u8(c);
                s->name = cursor_string(c);
        }
        return 0;
}

static int read_ranges(Parse *p, Cursor *c, Error *e) {
        Patch *patch = p->patch;

        (void)e;
        patch->n_ranges = read_count(c, 20, PATCH_MAX_RANGES);
        patch->ranges = arena_newa(p->arena, PatchRange, patch->n_ranges);
        for (size_t i = 0; i < patch->n_ranges; i++) {
                patch->ranges[i].addr = cursor_u64(c);
                patch->ranges[i].size = cursor_u64(c);
                patch->ranges[i].site = cursor_u32(c);
        }
        return 0;
}

static int read_imports(Parse *p, Cursor *c, Error *e) {
        Patch *patch = p->patch;

        (void)e;
        patch->n_imports = read_count(c, 3, PATCH_MAX_IMPORTS);
        patch->imports = arena_newa(p->arena, PatchImport, patch->n_imports);
        for (size_t i = 0; i < patch->n_imports; i++) {
                uint8_t flags = cursor_u8(c);

                patch->imports[i].weak = flags & FORMAT_IMPORT_WEAK;
                patch->imports[i].function = flags & FORMAT_IMPORT_FUNCTION;
                patch->imports[i].name = cursor_string(c);
                patch->imports[i].version = cursor_string(c);
        }
        return 0;
}

static int read_addends(Parse *p, Cursor *c, Error *e) {
        Patch *patch = p->patch;

        (void)e;
        patch->n_relocs = read_count(c, 8, PATCH_MAX_RELOCS);
        patch->relocs = arena_newa(p->arena, PatchReloc, patch->n_relocs);
        for (size_t i = 0; i < patch->n_relocs; i++)
                patch->relocs[i].addend = (int64_t)cursor_u64(c);
        return 0;
}

static int read_variables(Parse *p, Cursor *c, Error *e) {
        Patch *patch = p->patch;

        (void)e;
        patch->n_variables = read_count(c, 3 * 8 + 4 + 1, PATCH_MAX_VARIABLES);
        patch->variables = arena_newa(p->arena, PatchVariable, patch->n_variables);
        for (size_t i = 0; i < patch->n_variables; i++) {
                PatchVariable *v = &patch->variables[i];

                v->addr = cursor_u64(c);
                v->size = cursor_u64(c);
                v->initial = cursor_u64(c);
                v->align = cursor_u32(c);
                v->name = cursor_string(c);
        }
        patch->n_testimonies = read_count(c, 12, PATCH_MAX_TESTIMONIES);
        patch->testimonies = arena_newa(p->arena, PatchTestimony, patch->n_testimonies);
        for (size_t i = 0; i < patch->n_testimonies; i++) {
                patch->testimonies[i].key = cursor_u64(c);
                patch->testimonies[i].variable = cursor_u32(c);
        }
        patch->n_users = read_count(c, 24, PATCH_MAX_USERS);
        patch->users = arena_newa(p->arena, PatchUser, patch->n_users);
        for (size_t i = 0; i < patch->n_users; i++) {
                patch->users[i].old_addr = cursor_u64(c);
                patch->users[i].content = cursor_u64(c);
                patch->users[i].shape = cursor_u64(c);
        }
        return 0;
}

static int read_words(Parse *p, Cursor *c, Error *e) {
        Patch *patch = p->patch;

        patch->n_words = read_count(c, 3 * 8 + 4, PATCH_MAX_WORDS);
        patch->words = arena_newa(p->arena, PatchWord, patch->n_words);
        for (size_t i = 0; i < patch->n_words; i++) {
                PatchWord *w = &patch->words[i];
                uint32_t base;

                w->where = cursor_u64(c);
                w->old_value = cursor_u64(c);
                base = cursor_u32(c);
                w->value = cursor_u64(c);
                if (base != FORMAT_SYM_OLD && base != FORMAT_SYM_SHADOW)
                        return error_set(e, -EBADMSG, "word %zu: base %u", i, base);
                w->base = base == FORMAT_SYM_OLD ? PATCH_BASE_OLD : PATCH_BASE_SHADOW;
        }
        return 0;
}

static int read_notes(Parse *p, Error *e) {
        static int (*const readers[])(Parse *, Cursor *, Error *) = {
                [FORMAT_NOTE_HEADER] = read_header,       [FORMAT_NOTE_VERDICT] = read_verdict,
                [FORMAT_NOTE_SITES] = read_sites,         [FORMAT_NOTE_RANGES] = read_ranges,
                [FORMAT_NOTE_IMPORTS] = read_imports,     [FORMAT_NOTE_ADDENDS] = read_addends,
                [FORMAT_NOTE_VARIABLES] = read_variables, [FORMAT_NOTE_WORDS] = read_words,
        };
        Cursor c = tail_content(p, FORMAT_TAIL_NOTE);

        for (size_t type = FORMAT_NOTE_HEADER; type < ELEMENTSOF(readers); type++) {
                uint32_t name_size = cursor_u32(&c), size = cursor_u32(&c), is = cursor_u32(&c);
                const uint8_t *owner = cursor_take(&c, sizeof(FORMAT_OWNER)), *content;
                Cursor note;
                int r;

                if (!owner || name_size != sizeof(FORMAT_OWNER) ||
                    memcmp(owner, FORMAT_OWNER, name_size) != 0 || is != FORMAT_NOTE_TYPE + type)
                        return error_set(e, -EBADMSG, "note %zu: is not there", type);
                content = cursor_take(&c, size);
                if (!content)
                        return error_set(e, -EBADMSG, "note %zu: is cut off", type);
                note = cursor_make(content, size);
                r = readers[type](p, &note, e);
                if (r < 0)
                        return r;
                if (note.failed || cursor_left(&note))
                        return error_set(e, -EBADMSG, "note %zu: too short, too long or over a limit", type);
                cursor_take(&c, MIN(align_up(size, 4) - size, cursor_left(&c)));
        }
        return 0;
}

static int read_relocs(Parse *p, Error *e) {
        Patch *patch = p->patch;
        Cursor c = tail_content(p, FORMAT_TAIL_RELA);
        uint64_t n_symbols = tail_content(p, FORMAT_TAIL_SYMTAB).size / FORMAT_SYM;

        if (c.failed || c.size != patch->n_relocs * FORMAT_RELA)
                return malformed(e, "relocations: their number is not that of their addends");
        if (n_symbols < patch->n_imports)
                return malformed(e, "symbols: fewer than imports");
        for (size_t i = 0; i < patch->n_relocs; i++) {
                PatchReloc *r = &patch->relocs[i];
                uint64_t info, sum, symbol;

                r->where = cursor_u64(&c);
                info = cursor_u64(&c);
                sum = cursor_u64(&c);
                symbol = ELF64_R_SYM(info);
                r->type = ELF64_R_TYPE(info);
                if (symbol == FORMAT_SYM_OLD || symbol == FORMAT_SYM_SHADOW) {
                        r->base = symbol == FORMAT_SYM_OLD ? PATCH_BASE_OLD : PATCH_BASE_SHADOW;
                        r->value = sum - (uint64_t)r->addend;
                } else if (symbol >= n_symbols - patch->n_imports && symbol < n_symbols) {
                        r->base = PATCH_BASE_IMPORT;
                        r->value = symbol - (n_symbols - patch->n_imports);
                } else {
                        return error_set(e, -EBADMSG, "relocation %zu: symbol %lu", i, symbol);
                }
        }
        return 0;
}

static int check_canonical(const Parse *p, Error *e) {
        _cleanup_(freep) uint8_t *bytes = NULL;
        size_t size, at = 0;
        int r = patch_write(p->patch, &bytes, &size, e);

        if (r < 0)
                return r;
        while (at < MIN(size, p->file.size) && bytes[at] == p->file.bytes[at])
                at++;
        if (at < size || at < p->file.size)
                return error_set(e, -EBADMSG, "not in canonical form at offset %zu", at);
        return 0;
}

static int parse_all(Parse *p, Error *e) {
        int (*const passes[])(Parse *, Error *) = { read_headers, read_sections, read_notes, read_relocs };

        for (size_t i = 0; i < ELEMENTSOF(passes); i++) {
                int r = passes[i](p, e);

                if (r < 0)
                        return r;
        }
        return check_canonical(p, e);
}

int patch_parse(const char *path, FileBytes *file, Patch **out, Error *e) {
        Arena *arena = arena_new();
        Parse p = { .arena = arena };
        int r;

        if (file->size > PATCH_MAX_FILE) {
                r = error_set(e, -EFBIG, "larger than %d MiB", PATCH_MAX_FILE >> 20);
        } else {
                p.patch = arena_new0(arena, Patch);
                p.patch->arena = arena;
                p.file = cursor_make(arena_dup(arena, file->bytes, file->size), file->size);
                r = parse_all(&p, e);
        }
        file_release(file);
        if (r < 0) {
                arena_free(arena);
                error_prefix(e, "%s", path);
                return r;
        }
        *out = p.patch;
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "patch/patch.h"
#include "base/macro.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
        TEXT_MAX = 1 << 16, /* bytes of one name or line */
        JUMP_BYTES = 5,
        SHORT_BYTES = 2,
        NO_SHORT = 0xff,
};
#define VADDR_MAX (UINT64_C(1) << 47)

static const uint8_t endbr64[4] = { 0xf3, 0x0f, 0x1e, 0xfa };

static int bad(Error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int bad(Error *e, const char *format, ...) {
        char text[sizeof(e->text)];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        return error_set(e, -EBADMSG, "%s", text);
}

static bool text_ok(const char *s) {
        return s && strnlen(s, TEXT_MAX) < TEXT_MAX;
}

/* Does [addr, addr + size) lie inside [lo, hi]? No arithmetic here can overflow. */
static bool inside(uint64_t addr, uint64_t size, uint64_t lo, uint64_t hi) {
        return addr >= lo && addr <= hi && size <= hi - addr;
}

static bool span_ok(uint64_t lo, uint64_t hi) {
        return lo < hi && hi <= VADDR_MAX && hi - lo <= PATCH_MAX_SPAN && lo % PAGE_SIZE_X86 == 0 &&
               hi % PAGE_SIZE_X86 == 0;
}

const PatchSection *patch_section_at(const Patch *p, uint64_t addr) {
        size_t low = 0, high = p->n_sections;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const PatchSection *s = &p->sections[middle];

                if (addr < s->addr)
                        high = middle;
                else if (addr - s->addr >= s->size)
                        low = middle + 1;
                else
                        return s;
        }
        return NULL;
}

const PatchVariable *patch_variable_at(const Patch *p, uint64_t addr) {
        size_t low = 0, high = p->n_variables;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const PatchVariable *v = &p->variables[middle];

                if (addr < v->addr)
                        high = middle;
                else if (addr - v->addr >= v->size)
                        low = middle + 1;
                else
                        return v;
        }
        return NULL;
}

static int validate_identity(const Patch *p, Error *e) {
        if (p->old_id.n == 0 || p->old_id.n > BUILD_ID_MAX || p->new_id.n == 0 || p->new_id.n > BUILD_ID_MAX)
                return bad(e, "header: a build-id is missing or too long");
        if (p->old_id.n == p->new_id.n && memcmp(p->old_id.bytes, p->new_id.bytes, p->old_id.n) == 0)
                return bad(e, "header: old and new build-id are the same");
        if (!text_ok(p->name) || !*p->name)
                return bad(e, "header: the image has no name");
        if (!text_ok(p->old_path) || !text_ok(p->new_path) || !text_ok(p->old_version) ||
            !text_ok(p->new_version))
                return bad(e, "header: a path or version is too long");
        if (!span_ok(p->old_lo, p->old_hi))
                return bad(e, "header: span of the old image %#lx-%#lx", p->old_lo, p->old_hi);
        if (!span_ok(p->lo, p->hi))
                return bad(e, "header: span of the patch %#lx-%#lx", p->lo, p->hi);
        return 0;
}

static int validate_sections(const Patch *p, Error *e) {
        const uint64_t allowed = SHF_ALLOC | SHF_EXECINSTR | SHF_WRITE;
        uint64_t end = p->lo, written_page = UINT64_MAX, code_page = UINT64_MAX;

        if (p->n_sections > PATCH_MAX_SECTIONS)
                return bad(e, "more than %d sections", PATCH_MAX_SECTIONS);
        for (size_t i = 0; i < p->n_sections; i++) {
                const PatchSection *s = &p->sections[i];
                uint64_t first, last;

                if (!text_ok(s->name) || !*s->name)
                        return bad(e, "section %zu: name", i);
                if (s->type != SHT_PROGBITS && s->type != SHT_NOBITS)
                        return bad(e, "section %zu: type %u", i, s->type);
                if (!(s->flags & SHF_ALLOC) || (s->flags & ~allowed) ||
                    (s->flags & (SHF_WRITE | SHF_EXECINSTR)) == (SHF_WRITE | SHF_EXECINSTR))
                        return bad(e, "section %zu: flags %#lx", i, s->flags);
                if ((s->type == SHT_NOBITS) != (s->bytes == NULL))
                        return bad(e, "section %zu: content does not fit the type", i);
                if (s->type == SHT_NOBITS && (s->flags & SHF_EXECINSTR))
                        return bad(e, "section %zu: code without content", i);
                if (s->align > PAGE_SIZE_X86 || (s->align & (s->align - 1)) ||
                    (s->align && s->addr % s->align))
                        return bad(e, "section %zu: address %#lx is not aligned to %#lx", i, s->addr,
                                   s->align);
                if (s->size == 0 || !inside(s->addr, s->size, p->lo, p->hi))
                        return bad(e, "section %zu: %#lx+%#lx is outside the patch's span", i, s->addr,
                                   s->size);
                if (s->addr < end)
                        return bad(e, "section %zu: overlaps or is not in order", i);
                end = s->addr + s->size;

                /* A page is never both writable and executable. */
                first = align_down(s->addr, PAGE_SIZE_X86);
                last = align_down(end - 1, PAGE_SIZE_X86);
                if ((s->flags & SHF_EXECINSTR) ? first == written_page
                                               : (s->flags & SHF_WRITE) && first == code_page)
                        return bad(e, "section %zu: code and writable data in one page", i);
                if (s->flags & SHF_EXECINSTR)
                        code_page = last;
                else if (s->flags & SHF_WRITE)
                        written_page = last;
        }
        return 0;
}

static int validate_imports(const Patch *p, Error *e) {
        if (p->n_imports > PATCH_MAX_IMPORTS)
                return bad(e, "more than %d imports", PATCH_MAX_IMPORTS);
        for (size_t i = 0; i < p->n_imports; i++)
                if (!text_ok(p->imports[i].name) || !*p->imports[i].name || !text_ok(p->imports[i].version))
                        return bad(e, "import %zu: name or version", i);
        return 0;
}

static int validate_relocs(const Patch *p, Error *e) {
        uint64_t end = 0;

        if (p->n_relocs > PATCH_MAX_RELOCS)
                return bad(e, "more than %d relocations", PATCH_MAX_RELOCS);
        for (size_t i = 0; i < p->n_relocs; i++) {
                const PatchReloc *r = &p->relocs[i];
                const PatchSection *s = patch_section_at(p, r->where);
                uint64_t size = r->type == R_X86_64_64 ? 8 : 4;
                bool absolute32 = r->type == R_X86_64_32 || r->type == R_X86_64_32S;

                if (r->type != R_X86_64_64 && r->type != R_X86_64_PC32 && !absolute32)
                        return bad(e, "relocation %zu: type %u", i, r->type);
                if (!s || !s->bytes || s->addr + s->size - r->where < size)
                        return bad(e, "relocation %zu: %#lx is not inside a section with content", i,
                                   r->where);
                if (r->where < end)
                        return bad(e, "relocation %zu: overlaps or is not in order", i);
                end = r->where + size;
                if (r->addend > INT32_MAX || r->addend < INT32_MIN)
                        return bad(e, "relocation %zu: addend %ld", i, r->addend);
                switch (r->base) {
                case PATCH_BASE_OLD:
                        if (!inside(r->value, 0, p->old_lo, p->old_hi))
                                return bad(e, "relocation %zu: %#lx is outside the old image", i, r->value);
                        break;
                case PATCH_BASE_SHADOW:
                        if (!inside(r->value, 0, p->lo, p->hi))
                                return bad(e, "relocation %zu: %#lx is outside the patch", i, r->value);
                        if (absolute32 && !p->low_addresses)
                                return bad(e, "relocation %zu: 32-bit address in a patch that may lie high",
                                           i);
                        break;
                case PATCH_BASE_IMPORT:
                        if (r->value >= p->n_imports)
                                return bad(e, "relocation %zu: import %lu of %zu", i, r->value, p->n_imports);
                        break;
                default:
                        return bad(e, "relocation %zu: base %d", i, (int)r->base);
                }
        }
        return 0;
}

/* The bytes at `addr`, as the patch expects them, begin with endbr64. */
static bool expects_endbr(const PatchSite *s, uint64_t addr) {
        return inside(addr, sizeof(endbr64), s->patch_addr, s->patch_addr + s->n_expect) &&
               memcmp(s->expect + (addr - s->patch_addr), endbr64, sizeof(endbr64)) == 0;
}

static int validate_jump(const PatchSite *s, size_t i, Error *e) {
        uint64_t window = s->patch_addr + s->n_expect, entry = s->jump_addr;

        if (!inside(s->jump_addr, JUMP_BYTES, s->patch_addr, window))
                return bad(e, "site %zu: the jump is not inside the expected bytes", i);
        if (s->short_at != NO_SHORT) {
                int64_t reach;

                entry = s->patch_addr + s->short_at;
                if (!inside(entry, SHORT_BYTES, s->patch_addr, window))
                        return bad(e, "site %zu: the short jump is not inside the expected bytes", i);
                if (entry < s->jump_addr + JUMP_BYTES && s->jump_addr < entry + SHORT_BYTES)
                        return bad(e, "site %zu: the short jump overlaps the long one", i);
                reach = (int64_t)(s->jump_addr - (entry + SHORT_BYTES));
                if (reach < INT8_MIN || reach > INT8_MAX)
                        return bad(e, "site %zu: the short jump does not reach", i);
        }
        if (entry != s->old_addr &&
            !(entry == s->old_addr + sizeof(endbr64) && expects_endbr(s, s->old_addr)))
                return bad(e, "site %zu: the jump is neither at the entry nor behind its endbr64", i);
        return 0;
}

static int validate_sites(const Patch *p, Error *e) {
        uint64_t window_end = 0;

        if (p->n_sites == 0 || p->n_sites > PATCH_MAX_SITES)
                return bad(e, "%zu sites; 1 to %d are possible", p->n_sites, PATCH_MAX_SITES);
        for (size_t i = 0; i < p->n_sites; i++) {
                const PatchSite *s = &p->sites[i];
                const PatchSection *code = patch_section_at(p, s->new_addr);
                int r;

                if (!text_ok(s->name) || !*s->name)
                        return bad(e, "site %zu: name", i);
                if (i && s->old_addr <= s[-1].old_addr)
                        return bad(e, "site %zu: repeated or not in order", i);
                if (!inside(s->old_addr, 1, p->old_lo, p->old_hi))
                        return bad(e, "site %zu: %#lx is outside the old image", i, s->old_addr);
                if (!code || !(code->flags & SHF_EXECINSTR))
                        return bad(e, "site %zu: %#lx is not code that the patch carries", i, s->new_addr);
                if (s->n_expect < JUMP_BYTES || s->n_expect > PATCH_SITE_BYTES)
                        return bad(e, "site %zu: %u expected bytes", i, s->n_expect);
                if (!inside(s->patch_addr, s->n_expect, p->old_lo, p->old_hi))
                        return bad(e, "site %zu: bytes to write are outside the old image", i);
                for (size_t k = s->n_expect; k < PATCH_SITE_BYTES; k++)
                        if (s->expect[k])
                                return bad(e, "site %zu: expected bytes beyond their count", i);
                if (s->patch_addr < window_end)
                        return bad(e, "site %zu: overlaps the site before it", i);
                window_end = s->patch_addr + s->n_expect;
                r = validate_jump(s, i, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The range that holds an old address, or NULL. Only after the ranges' order was checked. */
static const PatchRange *range_at(const Patch *p, uint64_t addr) {
        size_t low = 0, high = p->n_ranges;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const PatchRange *r = &p->ranges[middle];

                if (addr < r->addr)
                        high = middle;
                else if (addr - r->addr >= r->size)
                        low = middle + 1;
                else
                        return r;
        }
        return NULL;
}

static int validate_ranges(const Patch *p, Error *e) {
        uint64_t end = 0;

        if (p->n_ranges > PATCH_MAX_RANGES)
                return bad(e, "more than %d ranges", PATCH_MAX_RANGES);
        for (size_t i = 0; i < p->n_ranges; i++) {
                const PatchRange *r = &p->ranges[i];

                if (r->size == 0 || !inside(r->addr, r->size, p->old_lo, p->old_hi))
                        return bad(e, "range %zu: %#lx+%#lx is outside the old image", i, r->addr, r->size);
                if (r->addr < end)
                        return bad(e, "range %zu: overlaps or is not in order", i);
                if (r->site >= p->n_sites)
                        return bad(e, "range %zu: site %u of %zu", i, r->site, p->n_sites);
                end = r->addr + r->size;
        }
        for (size_t i = 0; i < p->n_sites; i++) {
                const PatchRange *r = range_at(p, p->sites[i].old_addr);

                if (!r || r->site != i)
                        return bad(e, "site %zu: its entry is in no range of its own", i);
        }
        return 0;
}

static bool user_before(const PatchUser *x, const PatchUser *y) {
        if (x->old_addr != y->old_addr)
                return x->old_addr < y->old_addr;
        return x->content != y->content ? x->content < y->content : x->shape < y->shape;
}

static int validate_variables(const Patch *p, Error *e) {
        uint64_t end = 0;

        if (p->n_variables > PATCH_MAX_VARIABLES || p->n_testimonies > PATCH_MAX_TESTIMONIES ||
            p->n_users > PATCH_MAX_USERS)
                return bad(e, "variables: too many");
        for (size_t i = 0; i < p->n_variables; i++) {
                const PatchVariable *v = &p->variables[i];
                const PatchSection *s = patch_section_at(p, v->addr);

                if (!text_ok(v->name))
                        return bad(e, "variable %zu: name", i);
                if (!s || !(s->flags & SHF_WRITE) || v->size == 0 || s->addr + s->size - v->addr < v->size)
                        return bad(e, "variable %zu: %#lx+%#lx is not inside a writable section", i, v->addr,
                                   v->size);
                if (v->addr < end)
                        return bad(e, "variable %zu: overlaps or is not in order", i);
                end = v->addr + v->size;
                if (v->align == 0 || v->align > 64 || (v->align & (v->align - 1)) || v->addr % v->align)
                        return bad(e, "variable %zu: alignment %u", i, v->align);
        }
        for (size_t i = 0; i < p->n_testimonies; i++) {
                const PatchTestimony *t = &p->testimonies[i];

                if (t->variable >= p->n_variables)
                        return bad(e, "testimony %zu: variable %u of %zu", i, t->variable, p->n_variables);
                if (i && (t[-1].key > t->key || (t[-1].key == t->key && t[-1].variable >= t->variable)))
                        return bad(e, "testimony %zu: repeated or not in order", i);
        }
        for (size_t i = 0; i < p->n_users; i++) {
                if (p->users[i].old_addr && !inside(p->users[i].old_addr, 1, p->old_lo, p->old_hi))
                        return bad(e, "function %zu: %#lx is outside the old image", i, p->users[i].old_addr);
                if (i && !user_before(&p->users[i - 1], &p->users[i]))
                        return bad(e, "function %zu: repeated or not in order", i);
        }
        return 0;
}

static int validate_words(const Patch *p, Error *e) {
        size_t site = 0;

        if (p->n_words > PATCH_MAX_WORDS)
                return bad(e, "more than %d words", PATCH_MAX_WORDS);
        for (size_t i = 0; i < p->n_words; i++) {
                const PatchWord *w = &p->words[i];
                bool old = w->base == PATCH_BASE_OLD;

                if (w->where % 8 || !inside(w->where, 8, p->old_lo, p->old_hi))
                        return bad(e, "word %zu: %#lx is unaligned or outside the old image", i, w->where);
                if (i && w->where <= w[-1].where)
                        return bad(e, "word %zu: repeated or not in order", i);
                if (!inside(w->old_value, 0, p->old_lo, p->old_hi))
                        return bad(e, "word %zu: its old value %#lx is outside the old image", i,
                                   w->old_value);
                if (!old && w->base != PATCH_BASE_SHADOW)
                        return bad(e, "word %zu: base %d", i, (int)w->base);
                if (!inside(w->value, 0, old ? p->old_lo : p->lo, old ? p->old_hi : p->hi))
                        return bad(e, "word %zu: its value %#lx is outside", i, w->value);
                while (site < p->n_sites && p->sites[site].patch_addr + p->sites[site].n_expect <= w->where)
                        site++;
                if (site < p->n_sites && p->sites[site].patch_addr < w->where + 8)
                        return bad(e, "word %zu: touches site %zu", i, site);
        }
        return 0;
}

static int validate_rest(const Patch *p, Error *e) {
        if (p->eh_frame || p->eh_frame_size) {
                const PatchSection *s = patch_section_at(p, p->eh_frame);

                if (!s || !s->bytes || !p->eh_frame_size ||
                    s->addr + s->size - p->eh_frame < p->eh_frame_size)
                        return bad(e, "header: unwind data %#lx+%#lx is not inside a section", p->eh_frame,
                                   p->eh_frame_size);
        }
        if ((unsigned)p->verdict.grade > GRADE_PROVED || !text_ok(p->verdict.evidence))
                return bad(e, "verdict: grade or evidence");
        if (p->verdict.n > PATCH_MAX_FINDINGS)
                return bad(e, "verdict: more than %d findings", PATCH_MAX_FINDINGS);
        for (size_t i = 0; i < p->verdict.n; i++) {
                const Finding *f = &p->verdict.findings[i];

                if ((unsigned)f->code >= REFUSAL_N || !text_ok(f->subject) || !text_ok(f->detail))
                        return bad(e, "verdict: finding %zu", i);
        }
        return 0;
}

int patch_validate(const Patch *p, Error *e) {
        int (*const checks[])(const Patch *,
                              Error *) = { validate_identity,  validate_sections, validate_imports,
                                           validate_relocs,    validate_sites,    validate_ranges,
                                           validate_variables, validate_words,    validate_rest };

        for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
                int r = checks[i](p, e);

                if (r < 0)
                        return r;
        }
        return 0;
}

int patch_open(const char *path, Patch **out, Error *e) {
        FileBytes file = { 0 };
        int r = file_read(path, PATCH_MAX_FILE, &file, e);

        if (r < 0)
                return r;
        return patch_parse(path, &file, out, e);
}

Patch *patch_free(Patch *p) {
        if (p)
                arena_free(p->arena); /* which holds *p too */
        return NULL;
}

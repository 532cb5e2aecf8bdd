/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/emit.h"

#include <elf.h>
#include <string.h>

/*
 * Where carried code finds what it refers to: in the shadow (what is carried), in the old image, or in
 * another image by name.
 */

void emit_carry(Emitter *m, uint32_t function) {
        if (!m->carried[function]) {
                m->carried[function] = true;
                vec_push(&m->queue, function);
        }
}

void emit_reloc(Emitter *m, uint64_t where, uint32_t type, PatchBase base, uint64_t value, int64_t addend) {
        vec_push(
                &m->relocs,
                (PatchReloc){ .where = where, .type = type, .base = base, .value = value, .addend = addend });
}

static uint64_t import(Emitter *m, const char *name, const char *version, bool weak, bool function) {
        for (size_t i = 0; i < m->imports.n; i++)
                if (strcmp(m->imports.items[i].name, name) == 0 &&
                    strcmp(m->imports.items[i].version, version) == 0)
                        return i;
        vec_push(&m->imports, (PatchImport){ name, version, weak, function });
        return m->imports.n - 1;
}

bool emit_has_section(const Emitter *m, uint64_t addr) {
        for (size_t i = 0; i < m->sections.n; i++)
                if (addr >= m->sections.items[i].addr &&
                    addr - m->sections.items[i].addr < m->sections.items[i].size)
                        return true;
        return false;
}

static const ImageSymbol *find_definition(const Image *image, const char *name, const char *version) {
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (image->dynsyms[i].defined && strcmp(image->dynsyms[i].name, name) == 0 &&
                    (!version[0] || strcmp(image->dynsyms[i].version, version) == 0))
                        return &image->dynsyms[i];
        return NULL;
}

static bool slot_home(Emitter *m, const Function *user, uint64_t slot, const Place *q, Home *out);

void emit_refuse(Emitter *m, RefusalCode code, const Function *user, uint64_t target, const char *what) {
        const ImageSection *s = image_section_at(m->d->new_image, target);

        verdict_add(&m->d->verdict, code, user ? user->name : "data", "%s (%s+0x%llx)", what,
                    s ? s->name : "?", (unsigned long long)(target - (s ? s->addr : 0)));
}

/* An address of code as a value: the old entry where there is one (it leads to the new code), so
 * that pointers to one function stay equal. */
bool emit_code_home(Emitter *m, const Function *user, uint64_t target, bool call, Home *out) {
        Diff *d = m->d;
        Place q = place_of(d->new, target);
        const Match *x = &d->matches[d->new_match[q.index]];
        const Function *f = match_old(d, x);

        if (x->kind == MATCH_ADDED)
                emit_carry(m, q.index);
        if (m->carried[q.index]) {
                bool entry = q.part == 0 && q.offset == 0;

                if (call || !entry || !f)
                        *out = (Home){ PATCH_BASE_SHADOW, target };
                else
                        *out = (Home){ PATCH_BASE_OLD, f->addr };
                return true;
        }
        if (!f || q.part >= f->n_parts) {
                emit_refuse(m, REFUSAL_CODE_DATA_UNMAPPED, user, target, "a function has no counterpart");
                return false;
        }
        *out = (Home){ PATCH_BASE_OLD, d->old->parts[f->parts[q.part]].addr + q.offset };
        return true;
}

/* The address that a relocated word of the new image holds. */
static bool word_home(Emitter *m, const Function *user, const ImageReloc *r, Home *out) {
        const Image *n = m->d->new_image;
        uint64_t target = (uint64_t)r->addend;
        Place q;

        if (r->symbol) {
                const ImageSymbol *s = &n->dynsyms[r->symbol];

                if (s->defined && !find_definition(m->d->old_image, s->name, s->version)) {
                        target += s->addr;
                } else {
                        if (r->type != R_X86_64_64 && r->type != R_X86_64_GLOB_DAT &&
                            r->type != R_X86_64_JUMP_SLOT) {
                                emit_refuse(m, REFUSAL_CODE_IMPORT_NEW, user, r->addr,
                                            "a kind of relocation that cannot be carried");
                                return false;
                        }
                        *out = (Home){ PATCH_BASE_IMPORT, import(m, s->name, s->version, s->bind == STB_WEAK,
                                                                 s->type == STT_FUNC) };
                        return true;
                }
        } else if (r->type != R_X86_64_RELATIVE) {
                emit_refuse(m,
                            r->type == R_X86_64_IRELATIVE ? REFUSAL_CODE_IFUNC_CHANGED
                                                          : REFUSAL_CODE_IMPORT_NEW,
                            user, r->addr, "a kind of relocation that cannot be carried");
                return false;
        }
        q = place_of(m->d->new, target);
        if (q.kind == PLACE_FUNCTION)
                return emit_code_home(m, user, target, false, out);
        for (size_t i = 0; i < n->n_relocs; i++)
                if (n->relocs[i].type == R_X86_64_COPY && n->relocs[i].addr == target) {
                        const ImageSymbol *s = &n->dynsyms[n->relocs[i].symbol];

                        /* A pointer needs no copy of a library's variable: it may lead to the variable. */
                        *out = (Home){ PATCH_BASE_IMPORT, import(m, s->name, s->version, false, false) };
                        return true;
                }
        return emit_data_home(m, user, target, &q, out);
}

/* Carries [from, to) of the new image's data as a section of its own, its words relocated. */
bool emit_carry_data(Emitter *m, const Function *user, uint64_t from, uint64_t to) {
        const Image *n = m->d->new_image;
        const ImageSection *s = image_section_at(n, from);
        bool zero;

        if (!s || to > s->addr + s->size || to <= from)
                return false;
        if (emit_has_section(m, from))
                return true;
        zero = s->type == SHT_NOBITS;
        vec_push(&m->sections, (PatchSection){ .name = s->name,
                                               .addr = from,
                                               .size = to - from,
                                               .flags = SHF_ALLOC | SHF_WRITE,
                                               .type = zero ? SHT_NOBITS : SHT_PROGBITS,
                                               .align = 1,
                                               .bytes = zero ? NULL : image_bytes(n, from, to - from) });
        for (size_t i = image_reloc_from(n, from); i < n->n_relocs && n->relocs[i].addr < to; i++) {
                const ImageReloc *r = &n->relocs[i];
                Home h;

                if (!word_home(m, user, r, &h))
                        return false;
                emit_reloc(m, r->addr, R_X86_64_64, h.base, h.value,
                           h.base == PATCH_BASE_IMPORT ? r->addend : 0);
        }
        return true;
}

/* In an image that is not position independent constants may hold addresses: those of a jump table
 * are known, any other word that looks like one is refused. */
bool emit_absolute_const(Emitter *m, const Function *user, uint64_t target) {
        const Image *n = m->d->new_image;
        uint64_t extent = const_extent(m->d->new, target);
        unsigned size = 0;
        uint32_t entries = jump_table(m->d->new, user, target, &size);

        for (uint32_t i = 0; i < entries && size == 8; i++) {
                uint64_t where = target + 8ul * i;
                bool seen = false;

                for (size_t k = 0; k < m->relocs.n && !seen; k++)
                        seen = m->relocs.items[k].where == where;
                if (!seen)
                        emit_reloc(m, where, R_X86_64_64, PATCH_BASE_SHADOW,
                                   jump_table_entry(m->d->new, target, 8, i), 0);
        }
        for (uint64_t at = align_up(target, 8); at + 8 <= target + extent; at += 8) {
                const uint8_t *b = image_bytes(n, at, 8);
                uint64_t v = 0;

                if (size == 8 && at < target + 8ul * entries)
                        continue;
                if (b)
                        memcpy(&v, b, 8);
                if (v >= n->lo && v < n->hi && image_section_at(n, v)) {
                        emit_refuse(m, REFUSAL_CODE_ADDRESS_AMBIGUOUS, user, at,
                                    "a constant that looks like an address");
                        return false;
                }
        }
        return true;
}

/* The new address that stands for an old variable; 0 when none does. */
static uint64_t new_of(const Diff *d, uint64_t old) {
        for (size_t i = 0; i < d->n_map; i++)
                if (d->map[i].old == old && d->map[i].state == MAP_TESTIFIED)
                        return d->map[i].new;
        return 0;
}

static bool refers(const Code *code, const Function *f, uint64_t target) {
        for (uint32_t i = 0; i < f->n_refs; i++)
                if (code->refs[f->ref + i].target == target)
                        return true;
        return false;
}

/* A function that uses a variable which seems to be added, and no longer one that its old self
 * used: the new one may be the old one under a mistaken place. */
static const Function *variable_exchanged(const Diff *d, uint64_t from, uint64_t to) {
        for (size_t i = 0; i < d->n_matches; i++) {
                const Function *f = match_old(d, &d->matches[i]), *g = match_new(d, &d->matches[i]);
                bool uses = false;

                for (uint32_t k = 0; g && !uses && k < g->n_refs; k++)
                        uses = d->new->refs[g->ref + k].target - from < to - from;
                if (!uses || !f)
                        continue;
                for (uint32_t k = 0; k < f->n_refs; k++) {
                        uint64_t old = d->old->refs[f->ref + k].target, new;

                        if (place_of(d->old, old).kind != PLACE_DATA)
                                continue;
                        new = new_of(d, old);
                        if (!new || !refers(d->new, g, new))
                                return g;
                }
        }
        return NULL;
}

/* A library's variable that the linker gave a copy in this program (R_X86_64_COPY). */
static bool is_copied(const Image *image, uint64_t addr) {
        for (size_t i = 0; i < image->n_relocs; i++)
                if (image->relocs[i].type == R_X86_64_COPY &&
                    addr - image->relocs[i].addr < MAX(image->dynsyms[image->relocs[i].symbol].size, 1u))
                        return true;
        return false;
}

/* What the map itself holds was compared; what neighbours or names gave is compared here. */
static bool initial_same(Emitter *m, const Function *user, uint64_t target, uint64_t old, const Place *q) {
        Diff *d = m->d;
        const char *what;

        if (diff_map(d, target) || q->section->type == SHT_NOBITS ||
            object_same(d, old, target, MIN(const_extent(d->old, old), const_extent(d->new, target)), &what))
                return true;
        emit_refuse(m, q->kind == PLACE_RELRO ? REFUSAL_CODE_DATA_CONST : REFUSAL_CODE_DATA_INITIAL, user,
                    target, what);
        return false;
}

/* The start of a section that is the loader's is the end of what lies before it (place_is_loaders): it is
 * where the last thing there that new code refers to is, and as far from that. */
static bool end_home(Emitter *m, const Function *user, uint64_t end, uint64_t old_end, Home *out) {
        const Diff *d = m->d;
        const ImageSection *before = image_section_at(d->new_image, end - 1);
        size_t next = target_from(d->new, end);
        uint64_t last;
        Place place;
        Home h;

        *out = (Home){ PATCH_BASE_OLD, old_end };
        if (!before || next == 0 || d->new->targets[next - 1] < before->addr)
                return true; /* nobody walks there */
        last = d->new->targets[next - 1];
        place = place_of(d->new, last);
        if (table_at(d, last)) {
                emit_refuse(m, REFUSAL_CODE_DATA_CONST, user, end, "the end of a table that is exchanged");
                return false;
        }
        if (!emit_data_home(m, user, last, &place, &h))
                return false;
        if (h.base == PATCH_BASE_SHADOW) {
                *out = (Home){ PATCH_BASE_SHADOW, end };
                return true;
        }
        if (h.base == PATCH_BASE_OLD && old_end - h.value == end - last)
                return true;
        emit_refuse(m, REFUSAL_CODE_DATA_CONST, user, end, "the end of a table that is not where it was");
        return false;
}

bool emit_data_home(Emitter *m, const Function *user, uint64_t target, const Place *q, Home *out) {
        Diff *d = m->d;
        const Function *doubtful;
        const ImageSection *s = q->section;
        uint64_t old, from, to;

        switch (q->kind) {
        case PLACE_CONST: {
                const MapEntry *e = diff_map(d, target);

                if (e && e->state == MAP_TESTIFIED) {
                        *out = (Home){ PATCH_BASE_OLD, e->old };
                        return true;
                }
                if (!unrelocated(d->new_image, s->addr, s->size)) {
                        emit_refuse(m, REFUSAL_CODE_DATA_CONST, user, target,
                                    "read-only data with relocations");
                        return false;
                }
                if (emit_absolute(m) && user && !emit_absolute_const(m, user, target))
                        return false;
                m->whole[s - d->new_image->sections] = true;
                *out = (Home){ PATCH_BASE_SHADOW, target };
                return true;
        }
        case PLACE_RELRO:
        case PLACE_DATA:
                switch (locate_data(d, target, &old)) {
                case MAP_TESTIFIED:
                        if (!initial_same(m, user, target, old, q))
                                return false;
                        *out = (Home){ PATCH_BASE_OLD, old };
                        return true;
                case MAP_CONFLICT:
                        emit_refuse(m, REFUSAL_CODE_MAP_CONFLICT, user, target,
                                    "evidence contradicts itself");
                        return false;
                case MAP_NONE:
                        break;
                }
                if (emit_has_section(m, target)) {
                        *out = (Home){ PATCH_BASE_SHADOW, target };
                        return true;
                }
                if (is_copied(d->new_image, target)) {
                        emit_refuse(m, REFUSAL_CODE_IMPORT_NEW, user, target,
                                    "a variable of a library that the old program does not use");
                        return false;
                }
                if (!added_variable(d, target, &from, &to)) {
                        emit_refuse(m, REFUSAL_CODE_DATA_UNMAPPED, user, target,
                                    "no unchanged code says where the old process has it");
                        return false;
                }
                doubtful = q->kind == PLACE_DATA ? variable_exchanged(d, from, to) : NULL;
                if (doubtful) {
                        emit_refuse(m, REFUSAL_CODE_DATA_UNMAPPED, doubtful, target,
                                    "a variable seems to be added where another one is no longer used");
                        return false;
                }
                if (d->constructor_doubt && q->kind == PLACE_DATA) {
                        emit_refuse(m, REFUSAL_CODE_CTOR_CHANGED, user, target,
                                    "a constructor may initialise a variable that was added");
                        return false;
                }
                if (!emit_carry_data(m, user, from, to))
                        return false;
                if (q->kind == PLACE_DATA) {
                        emit_variable_range(m, from, to);
                        d->adds_variable = user ? user->name : "data";
                }
                *out = (Home){ PATCH_BASE_SHADOW, target };
                return true;
        case PLACE_IMPORT:
        case PLACE_POINTER:
        case PLACE_TLS:
                return slot_home(m, user, target, q, out);
        case PLACE_FUNCTION:
                return emit_code_home(m, user, target, false, out);
        case PLACE_OTHER: {
                const MapEntry *e = diff_map(d, target);
                const ImageSection *t = s ? image_section(d->old_image, s->name) : NULL;

                if (e && e->state == MAP_TESTIFIED) {
                        *out = (Home){ PATCH_BASE_OLD, e->old };
                        return true;
                }
                if (t && q->offset == 0 && place_is_loaders(s))
                        return end_home(m, user, target, t->addr, out);
                if (t && q->offset == 0) {
                        *out = (Home){ PATCH_BASE_OLD, t->addr };
                        return true;
                }
                emit_refuse(m, REFUSAL_CODE_DATA_UNMAPPED, user, target, "a place outside of known data");
                return false;
        }
        }
        return false;
}

static bool same_import(const Place *p, const Place *q) {
        return p->kind == q->kind && p->slot == q->slot && p->offset == q->offset &&
               strcmp(p->name, q->name) == 0 && strcmp(p->version, q->version) == 0;
}

/* Symbols by name, then version. */
static int symbol_compare(const Image *image, uint32_t symbol, const char *name, const char *version) {
        int r = strcmp(image->dynsyms[symbol].name, name);

        return r ? r : strcmp(image->dynsyms[symbol].version, version);
}

static int plt_compare(const void *x, const void *y, void *image) {
        const ImagePlt *a = &((const Image *)image)->plts[*(const uint32_t *)x],
                       *b = &((const Image *)image)->plts[*(const uint32_t *)y];
        const ImageSymbol *s = &((const Image *)image)->dynsyms[b->symbol];
        int r = symbol_compare(image, a->symbol, s->name, s->version);

        return r ? r : a < b ? -1 : a > b;
}

/* The first PLT entry of the old image for that symbol, or NULL. */
static const ImagePlt *old_plt(Emitter *m, const char *name, const char *version) {
        const Image *o = m->d->old_image;
        size_t lo = 0, hi;

        if (!m->plts) {
                m->plts = arena_newa(m->d->arena, uint32_t, o->n_plts + 1);
                for (size_t i = 0; i < o->n_plts; i++)
                        if (o->plts[i].symbol)
                                m->plts[m->n_plts++] = (uint32_t)i;
                qsort_r(m->plts, m->n_plts, sizeof(*m->plts), plt_compare, (void *)o);
        }
        hi = m->n_plts;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (symbol_compare(o, o->plts[m->plts[mid]].symbol, name, version) < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < m->n_plts && symbol_compare(o, o->plts[m->plts[lo]].symbol, name, version) == 0
                       ? &o->plts[m->plts[lo]]
                       : NULL;
}

/* A PLT entry or GOT slot of the new image: the old image's where it has one for the same symbol,
 * else one of the patch's own, bound when the patch is applied. */
static bool slot_home(Emitter *m, const Function *user, uint64_t target, const Place *q, Home *out) {
        const Image *o = m->d->old_image, *n = m->d->new_image;

        if (q->kind == PLACE_IMPORT && !q->slot) {
                const ImagePlt *plt = image_plt_at(n, target);
                const ImageReloc *r;
                Home h;

                const ImagePlt *there = old_plt(m, q->name, q->version);

                if (there) {
                        *out = (Home){ PATCH_BASE_OLD, there->addr };
                        return true;
                }
                r = image_reloc_at(n, plt->got);
                if (!r || !word_home(m, user, r, &h))
                        return false;
                if (!emit_has_section(m, plt->addr))
                        vec_push(&m->sections,
                                 (PatchSection){ .name = arena_printf(m->p->arena, ".plt.%s", q->name),
                                                 .addr = plt->addr,
                                                 .size = plt->size,
                                                 .flags = SHF_ALLOC | SHF_EXECINSTR,
                                                 .type = SHT_PROGBITS,
                                                 .align = 16,
                                                 .bytes = image_bytes(n, plt->addr, plt->size) });
                if (!emit_has_section(m, plt->got)) {
                        vec_push(&m->sections,
                                 (PatchSection){ .name = arena_printf(m->p->arena, ".got.%s", q->name),
                                                 .addr = plt->got,
                                                 .size = 8,
                                                 .flags = SHF_ALLOC | SHF_WRITE,
                                                 .type = SHT_PROGBITS,
                                                 .align = 8,
                                                 .bytes = arena_alloc(m->p->arena, 8) });
                        emit_reloc(m, plt->got, R_X86_64_64, h.base, h.value,
                                   h.base == PATCH_BASE_IMPORT ? r->addend : 0);
                }
                *out = (Home){ PATCH_BASE_SHADOW, target };
                return true;
        }
        if (q->kind == PLACE_POINTER && !q->slot) {
                const ImagePlt *plt = image_plt_at(n, target);
                const ImageReloc *r = plt ? image_reloc_at(n, plt->got) : NULL;

                for (size_t i = 0; r && i < o->n_plts; i++) {
                        const ImageReloc *s = o->plts[i].symbol ? NULL : image_reloc_at(o, o->plts[i].got);

                        if (s && relocs_same(m->d, s, r)) {
                                *out = (Home){ PATCH_BASE_OLD, o->plts[i].addr };
                                return true;
                        }
                }
                emit_refuse(m, REFUSAL_CODE_IFUNC_CHANGED, user, target, "a call through a local IFUNC");
                return false;
        }
        /* A slot: look for one that holds the same. */
        for (size_t k = 0; k < m->slots.n; k++) {
                size_t i = m->slots.items[k];
                Place p;

                if (q->kind == PLACE_IMPORT && o->relocs[i].type != R_X86_64_GLOB_DAT)
                        continue; /* a JUMP_SLOT may still lead to the PLT */
                if (q->kind != PLACE_IMPORT && o->relocs[i].type != q->type)
                        continue;
                p = place_of(m->d->old, o->relocs[i].addr);
                if (p.kind != q->kind || !p.slot)
                        continue;
                if (q->kind == PLACE_POINTER) {
                        const ImageReloc *r = image_reloc_at(n, target);

                        if (!r || !relocs_same(m->d, &o->relocs[i], r))
                                continue;
                } else if (q->kind == PLACE_TLS ? p.type != q->type || p.offset != q->offset ||
                                                          strcmp(p.name, q->name) != 0
                                                : !same_import(&p, q)) {
                        continue;
                }
                *out = (Home){ PATCH_BASE_OLD, o->relocs[i].addr };
                return true;
        }
        if (q->kind == PLACE_TLS) {
                emit_refuse(m, REFUSAL_CODE_TLS_CHANGED, user, target,
                            "a thread-local variable that old code does not use in this way");
                return false;
        }
        const ImageReloc *r = image_reloc_at(n, target);
        Home h;

        if (!r) {
                emit_refuse(m, REFUSAL_CODE_DATA_UNMAPPED, user, target, "a GOT slot without a relocation");
                return false;
        }
        if (!word_home(m, user, r, &h))
                return false;
        if (!emit_has_section(m, target)) {
                vec_push(&m->sections, (PatchSection){ .name = arena_printf(m->p->arena, ".got.%llx",
                                                                            (unsigned long long)target),
                                                       .addr = target,
                                                       .size = 8,
                                                       .flags = SHF_ALLOC | SHF_WRITE,
                                                       .type = SHT_PROGBITS,
                                                       .align = 8,
                                                       .bytes = arena_alloc(m->p->arena, 8) });
                emit_reloc(m, target, R_X86_64_64, h.base, h.value,
                           h.base == PATCH_BASE_IMPORT ? r->addend : 0);
        }
        *out = (Home){ PATCH_BASE_SHADOW, target };
        return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "build/passes.h"
#include "base/macro.h"
#include "base/vec.h"
#include "build/decode.h"
#include "build/unwind.h"

#include <elf.h>
#include <string.h>

/*
 * Makes the patch: the shadow's sections, the relocation of every reference that leaves it, the
 * sites where old code is left, and the ranges that must be free of threads. What cannot be carried
 * is a finding in the verdict, with its reason; then there is no patch.
 */

typedef struct Emitter {
        Diff *d;
        Patch *p;
        bool *carried;  /* by new function */
        VEC(uint32_t) queue; /* carried functions whose references are to be followed */
        bool *whole;    /* by new section: carried as it is (constants) */
        VEC(uint32_t) slots; /* relocations of the old image's GOT */
        VEC(PatchSection) sections;
        VEC(PatchReloc) relocs;
        VEC(PatchSite) sites;
        VEC(PatchRange) ranges;
        VEC(PatchImport) imports;
} Emitter;

static bool absolute(const Emitter *m) {
        return m->d->new_image->type == ET_EXEC;
}

static void carry(Emitter *m, uint32_t function) {
        if (!m->carried[function]) {
                m->carried[function] = true;
                vec_push(&m->queue, function);
        }
}

static void reloc(Emitter *m, uint64_t where, uint32_t type, PatchBase base, uint64_t value, int64_t addend) {
        vec_push(&m->relocs, (PatchReloc){ .where = where, .type = type, .base = base, .value = value, .addend = addend });
}

static uint64_t import(Emitter *m, const char *name, const char *version, bool weak, bool function) {
        for (size_t i = 0; i < m->imports.n; i++)
                if (strcmp(m->imports.items[i].name, name) == 0 && strcmp(m->imports.items[i].version, version) == 0)
                        return i;
        vec_push(&m->imports, (PatchImport){ name, version, weak, function });
        return m->imports.n - 1;
}

static bool has_section(const Emitter *m, uint64_t addr) {
        for (size_t i = 0; i < m->sections.n; i++)
                if (addr >= m->sections.items[i].addr && addr - m->sections.items[i].addr < m->sections.items[i].size)
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

/* Where the process has a thing of the new image: base and value for a relocation. */
typedef struct Home {
        PatchBase base;
        uint64_t value;
} Home;

static bool data_home(Emitter *m, const Function *user, uint64_t target, const Place *q, Home *out);
static bool slot_home(Emitter *m, const Function *user, uint64_t slot, const Place *q, Home *out);

static void refuse(Emitter *m, RefusalCode code, const Function *user, uint64_t target, const char *what) {
        const ImageSection *s = image_section_at(m->d->new_image, target);

        verdict_add(&m->d->verdict, code, user ? user->name : "data", "%s (%s+0x%llx)", what, s ? s->name : "?",
                    (unsigned long long)(target - (s ? s->addr : 0)));
}

/* An address of code as a value: the old entry where there is one (it leads to the new code), so
 * that pointers to one function stay equal. */
static bool code_home(Emitter *m, const Function *user, uint64_t target, bool call, Home *out) {
        Diff *d = m->d;
        Place q = place_of(d->new, target);
        const Match *x = &d->matches[d->new_match[q.index]];
        const Function *f = match_old(d, x);

        if (x->kind == MATCH_ADDED)
                carry(m, q.index);
        if (m->carried[q.index]) {
                bool entry = q.part == 0 && q.offset == 0;

                if (call || !entry || !f)
                        *out = (Home){ PATCH_BASE_SHADOW, target };
                else
                        *out = (Home){ PATCH_BASE_OLD, f->addr };
                return true;
        }
        if (!f || q.part >= f->n_parts) {
                refuse(m, REFUSAL_CODE_DATA_UNMAPPED, user, target, "a function has no counterpart");
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
                        if (r->type != R_X86_64_64 && r->type != R_X86_64_GLOB_DAT && r->type != R_X86_64_JUMP_SLOT) {
                                refuse(m, REFUSAL_CODE_IMPORT_NEW, user, r->addr, "a kind of relocation that cannot be carried");
                                return false;
                        }
                        *out = (Home){ PATCH_BASE_IMPORT,
                                       import(m, s->name, s->version, s->bind == STB_WEAK, s->type == STT_FUNC) };
                        return true;
                }
        } else if (r->type != R_X86_64_RELATIVE) {
                refuse(m, r->type == R_X86_64_IRELATIVE ? REFUSAL_CODE_IFUNC_CHANGED : REFUSAL_CODE_IMPORT_NEW, user, r->addr,
                       "a kind of relocation that cannot be carried");
                return false;
        }
        q = place_of(m->d->new, target);
        if (q.kind == PLACE_FUNCTION)
                return code_home(m, user, target, false, out);
        for (size_t i = 0; i < n->n_relocs; i++)
                if (n->relocs[i].type == R_X86_64_COPY && n->relocs[i].addr == target) {
                        const ImageSymbol *s = &n->dynsyms[n->relocs[i].symbol];

                        /* A pointer needs no copy of a library's variable: it may lead to the variable. */
                        *out = (Home){ PATCH_BASE_IMPORT, import(m, s->name, s->version, false, false) };
                        return true;
                }
        return data_home(m, user, target, &q, out);
}

/* Carries [from, to) of the new image's data as a section of its own, its words relocated. */
static bool carry_data(Emitter *m, const Function *user, uint64_t from, uint64_t to) {
        const Image *n = m->d->new_image;
        const ImageSection *s = image_section_at(n, from);
        bool zero;

        if (!s || to > s->addr + s->size || to <= from)
                return false;
        if (has_section(m, from))
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
                reloc(m, r->addr, R_X86_64_64, h.base, h.value, h.base == PATCH_BASE_IMPORT ? r->addend : 0);
        }
        return true;
}

/* In an image that is not position independent constants may hold addresses: those of a jump table
 * are known, any other word that looks like one is refused. */
static bool check_absolute_const(Emitter *m, const Function *user, uint64_t target) {
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
                        reloc(m, where, R_X86_64_64, PATCH_BASE_SHADOW, jump_table_entry(m->d->new, target, 8, i), 0);
        }
        for (uint64_t at = align_up(target, 8); at + 8 <= target + extent; at += 8) {
                const uint8_t *b = image_bytes(n, at, 8);
                uint64_t v = 0;

                if (size == 8 && at < target + 8ul * entries)
                        continue;
                if (b)
                        memcpy(&v, b, 8);
                if (v >= n->lo && v < n->hi && image_section_at(n, v)) {
                        refuse(m, REFUSAL_CODE_ADDRESS_AMBIGUOUS, user, at, "a constant that looks like an address");
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
        const Diff *d = m->d;
        const char *what;

        if (diff_map(d, target) || q->section->type == SHT_NOBITS ||
            object_same(d, old, target, MIN(const_extent(d->old, old), const_extent(d->new, target)), &what))
                return true;
        refuse(m, q->kind == PLACE_RELRO ? REFUSAL_CODE_DATA_CONST : REFUSAL_CODE_DATA_INITIAL, user, target, what);
        return false;
}

static bool data_home(Emitter *m, const Function *user, uint64_t target, const Place *q, Home *out) {
        Diff *d = m->d;
        const Function *doubtful;
        const ImageSection *s = q->section;
        uint64_t old, from, to;
        unsigned size;

        switch (q->kind) {
        case PLACE_CONST: {
                const MapEntry *e = diff_map(d, target);

                if (e && e->state == MAP_TESTIFIED) {
                        *out = (Home){ PATCH_BASE_OLD, e->old };
                        return true;
                }
                if (!unrelocated(d->new_image, s->addr, s->size)) {
                        refuse(m, REFUSAL_CODE_DATA_CONST, user, target, "read-only data with relocations");
                        return false;
                }
                if (absolute(m) && user && !check_absolute_const(m, user, target))
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
                        refuse(m, REFUSAL_CODE_MAP_CONFLICT, user, target, "evidence contradicts itself");
                        return false;
                case MAP_NONE:
                        break;
                }
                if (has_section(m, target)) {
                        *out = (Home){ PATCH_BASE_SHADOW, target };
                        return true;
                }
                if (is_copied(d->new_image, target)) {
                        refuse(m, REFUSAL_CODE_IMPORT_NEW, user, target, "a variable of a library that the old program does not use");
                        return false;
                }
                if (!added_variable(d, target, &from, &to)) {
                        refuse(m, REFUSAL_CODE_DATA_UNMAPPED, user, target, "no unchanged code says where the old process has it");
                        return false;
                }
                doubtful = q->kind == PLACE_DATA ? variable_exchanged(d, from, to) : NULL;
                if (doubtful) {
                        refuse(m, REFUSAL_CODE_DATA_UNMAPPED, doubtful, target,
                               "a variable seems to be added where another one is no longer used");
                        return false;
                }
                if (d->constructor_doubt && q->kind == PLACE_DATA) {
                        refuse(m, REFUSAL_CODE_CTOR_CHANGED, user, target, "a constructor may initialise a variable that was added");
                        return false;
                }
                if (!carry_data(m, user, from, to))
                        return false;
                *out = (Home){ PATCH_BASE_SHADOW, target };
                return true;
        case PLACE_IMPORT:
        case PLACE_POINTER:
        case PLACE_TLS:
                return slot_home(m, user, target, q, out);
        case PLACE_FUNCTION:
                return code_home(m, user, target, false, out);
        case PLACE_OTHER: {
                const MapEntry *e = diff_map(d, target);
                const ImageSection *t = s ? image_section(d->old_image, s->name) : NULL;

                if (e && e->state == MAP_TESTIFIED) {
                        *out = (Home){ PATCH_BASE_OLD, e->old };
                        return true;
                }
                if (t && q->offset == 0) {
                        *out = (Home){ PATCH_BASE_OLD, t->addr };
                        return true;
                }
                refuse(m, REFUSAL_CODE_DATA_UNMAPPED, user, target, "a place outside of known data");
                return false;
        }
        }
        (void)size;
        return false;
}

static bool same_import(const Place *p, const Place *q) {
        return p->kind == q->kind && p->slot == q->slot && p->offset == q->offset && strcmp(p->name, q->name) == 0 &&
               strcmp(p->version, q->version) == 0;
}

/* A PLT entry or GOT slot of the new image: the old image's where it has one for the same symbol,
 * else one of the patch's own, bound when the patch is applied. */
static bool slot_home(Emitter *m, const Function *user, uint64_t target, const Place *q, Home *out) {
        const Image *o = m->d->old_image, *n = m->d->new_image;

        if (q->kind == PLACE_IMPORT && !q->slot) {
                const ImagePlt *plt = image_plt_at(n, target);
                const ImageReloc *r;
                Home h;

                for (size_t i = 0; i < o->n_plts; i++) {
                        const ImageSymbol *s = &o->dynsyms[o->plts[i].symbol];

                        if (o->plts[i].symbol && strcmp(s->name, q->name) == 0 && strcmp(s->version, q->version) == 0) {
                                *out = (Home){ PATCH_BASE_OLD, o->plts[i].addr };
                                return true;
                        }
                }
                r = image_reloc_at(n, plt->got);
                if (!r || !word_home(m, user, r, &h))
                        return false;
                if (!has_section(m, plt->addr))
                        vec_push(&m->sections, (PatchSection){ .name = arena_printf(m->p->arena, ".plt.%s", q->name),
                                                               .addr = plt->addr, .size = plt->size,
                                                               .flags = SHF_ALLOC | SHF_EXECINSTR, .type = SHT_PROGBITS, .align = 16,
                                                               .bytes = image_bytes(n, plt->addr, plt->size) });
                if (!has_section(m, plt->got)) {
                        vec_push(&m->sections, (PatchSection){ .name = arena_printf(m->p->arena, ".got.%s", q->name),
                                                               .addr = plt->got, .size = 8, .flags = SHF_ALLOC | SHF_WRITE,
                                                               .type = SHT_PROGBITS, .align = 8,
                                                               .bytes = arena_alloc(m->p->arena, 8) });
                        reloc(m, plt->got, R_X86_64_64, h.base, h.value, h.base == PATCH_BASE_IMPORT ? r->addend : 0);
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
                refuse(m, REFUSAL_CODE_IFUNC_CHANGED, user, target, "a call through a local IFUNC");
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
                } else if (q->kind == PLACE_TLS ? p.type != q->type || p.offset != q->offset || strcmp(p.name, q->name) != 0
                                                : !same_import(&p, q)) {
                        continue;
                }
                *out = (Home){ PATCH_BASE_OLD, o->relocs[i].addr };
                return true;
        }
        if (q->kind == PLACE_TLS) {
                refuse(m, REFUSAL_CODE_TLS_CHANGED, user, target, "a thread-local variable that old code does not use in this way");
                return false;
        }
        const ImageReloc *r = image_reloc_at(n, target);
        Home h;

        if (!r) {
                refuse(m, REFUSAL_CODE_DATA_UNMAPPED, user, target, "a GOT slot without a relocation");
                return false;
        }
        if (!word_home(m, user, r, &h))
                return false;
        if (!has_section(m, target)) {
                vec_push(&m->sections, (PatchSection){ .name = arena_printf(m->p->arena, ".got.%llx", (unsigned long long)target),
                                                       .addr = target, .size = 8, .flags = SHF_ALLOC | SHF_WRITE,
                                                       .type = SHT_PROGBITS, .align = 8, .bytes = arena_alloc(m->p->arena, 8) });
                reloc(m, target, R_X86_64_64, h.base, h.value, h.base == PATCH_BASE_IMPORT ? r->addend : 0);
        }
        *out = (Home){ PATCH_BASE_SHADOW, target };
        return true;
}

/* A short branch reaches only what lies near in the shadow: where the function that it leads to is
 * not carried, a jump to the old one takes its place there. */
static void stand_in(Emitter *m, const Function *user, const Ref *r, const Home *home) {
        static const uint8_t jump[5] = { 0xe9 };
        Place q = place_of(m->d->new, r->target);
        const CodePart *p = code_part_at(m->d->new, r->target);

        if (q.kind != PLACE_FUNCTION || q.offset != 0 || p->size < sizeof(jump)) {
                if (q.kind == PLACE_FUNCTION)
                        carry(m, q.index); /* an equal copy serves as well */
                else
                        refuse(m, REFUSAL_CODE_CODE_UNDECODED, user, r->insn, "a short branch leaves the function");
                return;
        }
        if (has_section(m, r->target))
                return;
        vec_push(&m->sections, (PatchSection){ .name = arena_printf(m->p->arena, ".stub.%s", m->d->new->functions[q.index].name),
                                               .addr = r->target, .size = sizeof(jump),
                                               .flags = SHF_ALLOC | SHF_EXECINSTR, .type = SHT_PROGBITS, .align = 1,
                                               .bytes = arena_dup(m->p->arena, jump, sizeof(jump)) });
        reloc(m, r->target + 1, R_X86_64_PC32, home->base, home->value, -4);
}

static void emit_ref(Emitter *m, const Function *user, const Ref *r) {
        Place q = place_of(m->d->new, r->target);
        bool call = r->kind == REF_CALL || r->kind == REF_JUMP;
        unsigned size;
        Home h;

        if (q.kind == PLACE_FUNCTION && r->kind >= REF_ABS32 && q.offset != 0) {
                refuse(m, REFUSAL_CODE_ADDRESS_AMBIGUOUS, user, r->insn, "a number that looks like an address inside a function");
                return;
        }
        if (q.kind == PLACE_FUNCTION) {
                if (!code_home(m, user, r->target, call, &h))
                        return;
        } else if (q.kind == PLACE_CONST && jump_table(m->d->new, user, r->target, &size)) {
                /* It leads into this function: always the carried one. */
                m->whole[q.section - m->d->new_image->sections] = true;
                if (absolute(m) && !check_absolute_const(m, user, r->target))
                        return;
                h = (Home){ PATCH_BASE_SHADOW, r->target };
        } else if (!data_home(m, user, r->target, &q, &h)) {
                return;
        }
        if (q.kind != PLACE_FUNCTION && !r->lea && h.base == PATCH_BASE_OLD && (h.value - r->target) % 64) {
                const CodePart *part = code_part_at(m->d->new, r->insn);
                uint64_t n = part ? MIN(part->addr + part->size - r->insn, 15u) : 0;
                const uint8_t *b = n ? image_bytes(m->d->new_image, r->insn, n) : NULL;

                if (!b || (h.value - r->target) % decode_alignment(b, n)) {
                        refuse(m, REFUSAL_CODE_LAYOUT_SHIFT, user, r->target,
                               "a vector instruction needs an alignment that the old variable does not have");
                        return;
                }
        }
        switch (r->kind) {
        case REF_CALL:
        case REF_JUMP:
        case REF_PCREL:
                if (h.base == PATCH_BASE_SHADOW && h.value == r->target)
                        return; /* right as it stands */
                if (r->field_size != 4) {
                        stand_in(m, user, r, &h);
                        return;
                }
                reloc(m, r->field, R_X86_64_PC32, h.base, h.value, -(int64_t)r->after);
                return;
        case REF_ABS32:
                reloc(m, r->field, R_X86_64_32, h.base, h.value, 0);
                m->p->low_addresses = true;
                return;
        case REF_ABS64:
                reloc(m, r->field, R_X86_64_64, h.base, h.value, 0);
                return;
        }
}

static void emit_function(Emitter *m, uint32_t function) {
        const Code *code = m->d->new;
        const Function *g = &code->functions[function];

        for (uint32_t k = 0; k < g->n_parts; k++) {
                const CodePart *p = &code->parts[g->parts[k]];

                vec_push(&m->sections, (PatchSection){ .name = arena_printf(m->p->arena, k ? ".text.%s.part%u" : ".text.%s", g->name, k),
                                                       .addr = p->addr, .size = p->size,
                                                       .flags = SHF_ALLOC | SHF_EXECINSTR, .type = SHT_PROGBITS, .align = 1,
                                                       .bytes = image_bytes(code->image, p->addr, p->size) });
        }
        for (uint32_t i = 0; i < g->n_refs; i++)
                emit_ref(m, g, &code->refs[g->ref + i]);
}

/* Bytes that may be overwritten at the end of a part: padding up to the next code. */
static uint64_t padding_after(const Code *code, const CodePart *p) {
        const ImageSection *s = image_section_at(code->image, p->addr);
        uint64_t end = p->addr + p->size, limit;
        const CodePart *next = p + 1 < code->parts + code->n_parts ? p + 1 : NULL;
        const uint8_t *b;

        limit = s->addr + s->size;
        if (next && next->addr < limit)
                limit = next->addr;
        b = limit > end ? image_bytes(code->image, end, limit - end) : NULL;
        if (!b)
                return 0;
        for (uint64_t at = code_next_target(code, end - 1); at < limit; at = code_next_target(code, at))
                return at - end; /* something refers to it */
        return decode_padding(b, limit - end);
}

static void emit_site(Emitter *m, uint32_t match, const CodePart *p, uint64_t new_addr) {
        static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
        Diff *d = m->d;
        const Function *f = match_old(d, &d->matches[match]);
        const uint8_t *b = image_bytes(d->old_image, p->addr, p->size);
        uint64_t skip, room;
        PatchSite s = { .name = f->name, .old_addr = p->addr, .new_addr = new_addr, .patch_addr = p->addr, .short_at = 0xff };

        skip = b && p->size >= 4 && memcmp(b, endbr64, 4) == 0 ? 4 : 0;
        room = p->size + padding_after(d->old, p);
        if (room < skip + 5) {
                verdict_add(&d->verdict, REFUSAL_CODE_FUNCTION_SMALL, f->name, "%llu bytes", (unsigned long long)p->size);
                return;
        }
        for (size_t i = 0; i < d->old->n_entries; i++)
                if (d->old->entries[i] > p->addr && d->old->entries[i] < p->addr + p->size)
                        verdict_add(&d->verdict, REFUSAL_CODE_ENTRY_BRANCH, f->name, "at offset %llu",
                                    (unsigned long long)(d->old->entries[i] - p->addr));
        s.jump_addr = p->addr + skip;
        s.n_expect = (uint8_t)(skip + 5);
        b = image_bytes(d->old_image, p->addr, s.n_expect);
        if (!b) {
                verdict_add(&d->verdict, REFUSAL_CODE_FUNCTION_SMALL, f->name, "at the end of the text");
                return;
        }
        memcpy(s.expect, b, s.n_expect);
        vec_push(&m->sites, s);
}

static void emit_sites(Emitter *m) {
        Diff *d = m->d;

        for (uint32_t i = 0; i < d->n_matches; i++) {
                const Match *x = &d->matches[i];
                const Function *f = match_old(d, x), *g = match_new(d, x);
                size_t first = m->sites.n;

                if (x->kind != MATCH_CHANGED && x->kind != MATCH_CARRIED)
                        continue;
                for (uint32_t k = 0; k < f->n_parts; k++) {
                        const CodePart *p = &d->old->parts[f->parts[k]];

                        if (k > 0 && !p->entered)
                                continue;
                        if (k > 0 && f->n_parts != g->n_parts) {
                                verdict_add(&d->verdict, REFUSAL_CODE_ENTRY_BRANCH, f->name, "it has several entries");
                                continue;
                        }
                        emit_site(m, i, p, k == 0 ? g->addr : d->new->parts[g->parts[k]].addr);
                }
                for (uint32_t k = 0; k < f->n_parts && m->sites.n > first; k++) {
                        const CodePart *p = &d->old->parts[f->parts[k]];

                        size_t site = first;

                        for (size_t j = first; j < m->sites.n; j++)
                                if (m->sites.items[j].old_addr == p->addr)
                                        site = j;
                        vec_push(&m->ranges, (PatchRange){ .addr = p->addr, .size = p->size, .site = (uint32_t)site });
                }
        }
}

static int section_compare(const void *a, const void *b) {
        const PatchSection *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}
static int reloc_compare(const void *a, const void *b) {
        const PatchReloc *x = a, *y = b;

        return x->where < y->where ? -1 : x->where > y->where;
}
static int site_compare(const void *a, const void *b) {
        const PatchSite *x = a, *y = b;

        return x->old_addr < y->old_addr ? -1 : x->old_addr > y->old_addr;
}
static int patch_range_compare(const void *a, const void *b) {
        const PatchRange *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Sites are sorted last; ranges name theirs by its first address. */
static void sort_sites(Emitter *m) {
        uint64_t *first = arena_newa(m->p->arena, uint64_t, m->sites.n + 1);

        for (size_t i = 0; i < m->sites.n; i++)
                first[i] = m->sites.items[i].old_addr;
        if (m->sites.n)
                qsort(m->sites.items, m->sites.n, sizeof(PatchSite), site_compare);
        for (size_t i = 0; i < m->ranges.n; i++) {
                PatchSite key = { .old_addr = first[m->ranges.items[i].site] };
                PatchSite *s = bsearch(&key, m->sites.items, m->sites.n, sizeof(PatchSite), site_compare);

                m->ranges.items[i].site = (uint32_t)(s - m->sites.items);
        }
        if (m->ranges.n)
                qsort(m->ranges.items, m->ranges.n, sizeof(PatchRange), patch_range_compare);
}

#define HAND_OVER(field)                                                                           \
        do {                                                                                       \
                p->field = arena_dup(p->arena, m->field.items, m->field.n * sizeof(*p->field));    \
                p->n_##field = m->field.n;                                                         \
        } while (0)

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static void copy_verdict(Patch *p, const Verdict *v) {
        verdict_init(&p->verdict, p->arena);
        for (size_t i = 0; i < v->n; i++)
                verdict_add(&p->verdict, v->findings[i].code, v->findings[i].subject, "%s", v->findings[i].detail);
        p->verdict.grade = v->grade;
        p->verdict.evidence = arena_strdup(p->arena, v->evidence);
}

/* Strings and bytes that still point into the images move to the patch. */
static void own(Patch *p) {
        for (size_t i = 0; i < p->n_sections; i++) {
                p->sections[i].name = arena_strdup(p->arena, p->sections[i].name);
                if (p->sections[i].bytes)
                        p->sections[i].bytes = arena_dup(p->arena, p->sections[i].bytes, p->sections[i].size);
        }
        for (size_t i = 0; i < p->n_sites; i++)
                p->sites[i].name = arena_strdup(p->arena, p->sites[i].name);
        for (size_t i = 0; i < p->n_imports; i++) {
                p->imports[i].name = arena_strdup(p->arena, p->imports[i].name);
                p->imports[i].version = arena_strdup(p->arena, p->imports[i].version);
        }
}

/* Pieces of data may overlap (a cell inside an added variable's range): they become one. */
static void merge_sections(Emitter *m) {
        const Image *image = m->d->new_image;
        size_t n = 0;

        if (m->sections.n)
                qsort(m->sections.items, m->sections.n, sizeof(PatchSection), section_compare);
        for (size_t i = 0; i < m->sections.n; i++) {
                PatchSection *s = &m->sections.items[i], *last = n ? &m->sections.items[n - 1] : NULL;

                if (last && s->addr < last->addr + last->size && s->flags == last->flags && s->type == last->type) {
                        uint64_t end = MAX(last->addr + last->size, s->addr + s->size);

                        last->size = end - last->addr;
                        if (last->bytes && last->type == SHT_PROGBITS)
                                last->bytes = image_bytes(image, last->addr, last->size);
                        continue;
                }
                m->sections.items[n++] = *s;
        }
        m->sections.n = n;
        if (m->relocs.n)
                qsort(m->relocs.items, m->relocs.n, sizeof(PatchReloc), reloc_compare);
        n = 0;
        for (size_t i = 0; i < m->relocs.n; i++)
                if (n == 0 || m->relocs.items[n - 1].where != m->relocs.items[i].where)
                        m->relocs.items[n++] = m->relocs.items[i];
        m->relocs.n = n;
}

static void finish(Emitter *m) {
        Patch *p = m->p;
        const Image *o = m->d->old_image, *n = m->d->new_image;

        merge_sections(m);

        HAND_OVER(sections);
        HAND_OVER(relocs);
        HAND_OVER(sites);
        HAND_OVER(ranges);
        HAND_OVER(imports);
        own(p);
        p->old_id = o->build_id;
        p->new_id = n->build_id;
        p->name = arena_strdup(p->arena, n->soname ? n->soname : base_name(n->path));
        p->old_path = arena_strdup(p->arena, base_name(o->path));
        p->new_path = arena_strdup(p->arena, base_name(n->path));
        p->old_version = p->new_version = "";
        p->executable = n->executable;
        p->old_lo = o->lo;
        p->old_hi = o->hi;
        p->lo = align_down(p->sections[0].addr, PAGE_SIZE_X86);
        p->hi = align_up(p->sections[p->n_sections - 1].addr + p->sections[p->n_sections - 1].size, PAGE_SIZE_X86);
        copy_verdict(p, &m->d->verdict);
}

/* Whether exceptions may pass through frames of this image: it binds the C++ (or another) runtime, or
 * holds it. A static C program holds unwind data with personality routines for thread cancellation,
 * which ends at the first frame without; the C++ runtime is known by the name of its base class. */
static bool throws(const Image *image) {
        static const char base[] = "St9exception";

        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (strncmp(image->dynsyms[i].name, "_Unwind_R", 9) == 0 || strstr(image->dynsyms[i].name, "_personality_v0"))
                        return true;
        for (size_t i = 0; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];

                if (s->bytes && (s->flags & SHF_ALLOC) && !(s->flags & SHF_EXECINSTR) && memmem(s->bytes, s->size, base, sizeof(base)))
                        return true;
        }
        return false;
}

/* Functions with unwind data that exceptions may pass: the whole tables of the new image are
 * carried at their places; entries of functions that are not carried describe nothing that runs.
 * The cells that the tables refer to (personality routines, types to catch) are carried too. */
static void emit_unwind(Emitter *m) {
        const Image *n = m->d->new_image;
        VEC(uint64_t) cells = { 0 };
        bool needed = false, throwing = throws(n);

        for (size_t i = 0; i < n->n_fdes; i++) {
                const ImageFde *f = &n->fdes[i];
                const Function *g = code_function_at(m->d->new, f->addr);
                UnwindCells found = { 0 };

                if (f->personality && (throwing || (g && m->carried[g - m->d->new->functions])))
                        needed = true;
                if (!f->lsda || !g || !m->carried[g - m->d->new->functions])
                        continue;
                if (!unwind_cells(n, f->lsda, &found)) {
                        verdict_add(&m->d->verdict, REFUSAL_CODE_UNWIND_NEEDED, g->name, "its exception table cannot be carried");
                        continue;
                }
                if (f->personality)
                        vec_push(&cells, f->personality);
                for (size_t k = 0; k < found.n; k++)
                        vec_push(&cells, found.items[k]);
                vec_free(&found);
        }
        if (!needed) {
                vec_free(&cells);
                return;
        }
        for (size_t i = 0; i < cells.n; i++) {
                const ImageSection *s = image_section_at(n, cells.items[i]);

                if (!s || !(s->flags & SHF_WRITE))
                        verdict_add(&m->d->verdict, REFUSAL_CODE_UNWIND_NEEDED, "exception tables",
                                    "they refer to types or routines directly");
                else
                        carry_data(m, NULL, cells.items[i], cells.items[i] + 8);
        }
        vec_free(&cells);
        for (size_t i = 0; i < n->n_sections; i++)
                if (strcmp(n->sections[i].name, ".eh_frame") == 0 || strcmp(n->sections[i].name, ".gcc_except_table") == 0)
                        m->whole[i] = true;
        m->p->eh_frame = n->eh_frame_addr;
        m->p->eh_frame_size = n->eh_frame_size;
}

int emit_patch(Diff *d, const bool accepted[REFUSAL_N], Patch **out, Error *e) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Emitter emitter = { .d = d }, *m = &emitter;
        size_t changed = 0;
        int r = 0;

        m->p = arena_new0(arena, Patch);
        m->p->arena = arena;
        m->carried = arena_newa(arena, bool, d->new->n_functions + 1);
        m->whole = arena_newa(arena, bool, d->new_image->n_sections + 1);
        for (uint32_t i = 0; i < d->n_matches; i++)
                if (d->matches[i].kind == MATCH_CHANGED || d->matches[i].kind == MATCH_CARRIED) {
                        carry(m, d->matches[i].new);
                        changed++;
                }
        if (changed == 0) {
                vec_free(&m->queue);
                return verdict_hotpatchable(&d->verdict, accepted) ? EMIT_NOTHING : EMIT_REFUSED;
        }
        for (size_t i = 0; i < d->old_image->n_relocs; i++) {
                const ImageSection *s = image_section_at(d->old_image, d->old_image->relocs[i].addr);

                if (s && strncmp(s->name, ".got", 4) == 0)
                        vec_push(&m->slots, (uint32_t)i);
        }
        while (m->queue.n > 0)
                emit_function(m, m->queue.items[--m->queue.n]);
        emit_sites(m);
        emit_unwind(m);
        for (size_t i = 0; i < d->new_image->n_sections; i++)
                if (m->whole[i]) {
                        const ImageSection *s = &d->new_image->sections[i];

                        vec_push(&m->sections, (PatchSection){ .name = s->name, .addr = s->addr, .size = s->size, .flags = SHF_ALLOC,
                                                               .type = SHT_PROGBITS, .align = s->align ? s->align : 1, .bytes = s->bytes });
                }
        if (!verdict_hotpatchable(&d->verdict, accepted)) {
                r = EMIT_REFUSED;
        } else {
                sort_sites(m);
                finish(m);
                r = patch_validate(m->p, e);
                if (r == 0) {
                        *out = TAKE_PTR(m->p);
                        arena = NULL;
                } else {
                        error_prefix(e, "the patch that was built is not valid");
                }
        }
        vec_free(&m->queue);
        vec_free(&m->slots);
        vec_free(&m->sections);
        vec_free(&m->relocs);
        vec_free(&m->sites);
        vec_free(&m->ranges);
        vec_free(&m->imports);
        return r;
}

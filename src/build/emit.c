/* SPDX-License-Identifier: Apache-2.0 */
#include "build/emit.h"
#include "base/macro.h"
#include "build/decode.h"

#include <elf.h>
#include <string.h>

/*
 * Makes the patch: the shadow's sections, the relocation of every reference that leaves it, the
 * sites where old code is left, and the ranges that must be free of threads. What cannot be carried
 * is a finding in the verdict, with its reason; then there is no patch.
 */
/* A short branch reaches only what lies near in the shadow: where the function that it leads to is
 * not carried, a jump to the old one takes its place there. */
static void stand_in(Emitter *m, const Function *user, const Ref *r, const Home *home) {
        static const uint8_t jump[5] = { 0xe9 };
        Place q = place_of(m->d->new, r->target);
        const CodePart *p = code_part_at(m->d->new, r->target);

        if (q.kind != PLACE_FUNCTION || q.offset != 0 || p->size < sizeof(jump)) {
                if (q.kind == PLACE_FUNCTION)
                        emit_carry(m, q.index); /* an equal copy serves as well */
                else
                        emit_refuse(m, REFUSAL_CODE_CODE_UNDECODED, user, r->insn,
                                    "a short branch leaves the function");
                return;
        }
        if (emit_has_section(m, r->target))
                return;
        vec_push(&m->sections, (PatchSection){ .name = arena_printf(m->p->arena, ".stub.%s",
                                                                    m->d->new->functions[q.index].name),
                                               .addr = r->target,
                                               .size = sizeof(jump),
                                               .flags = SHF_ALLOC | SHF_EXECINSTR,
                                               .type = SHT_PROGBITS,
                                               .align = 1,
                                               .bytes = arena_dup(m->p->arena, jump, sizeof(jump)) });
        emit_reloc(m, r->target + 1, R_X86_64_PC32, home->base, home->value, -4);
}

/* At a fixed address an array may be reached from a place before it, "table[c - '0']": what lies there is
 * something else, or nothing, and says nothing of where the array is. Seen where nothing lies there, and
 * where code jumps. */
static bool is_beside(const Code *code, const Ref *r, const Place *q) {
        const CodePart *part;
        const uint8_t *b;
        uint64_t entry = 0;
        uint32_t i;

        if (r->kind < REF_ABS32 || r->lea)
                return false;
        if (q->kind == PLACE_OTHER && !q->section)
                return true;
        part = q->kind == PLACE_CONST ? code_part_at(code, r->insn) : NULL;
        i = part ? code_insn_at(code, part, r->insn) : UINT32_MAX;
        if (i == UINT32_MAX || !(code->insns[i].flags & INSN_INDIRECT))
                return false;
        b = image_bytes(code->image, r->target, sizeof(entry));
        if (b)
                memcpy(&entry, b, sizeof(entry));
        return !code_part_start(code, entry);
}

static void emit_ref(Emitter *m, const Function *user, const Ref *r) {
        Place q = place_of(m->d->new, r->target);
        bool call = r->kind == REF_CALL || r->kind == REF_JUMP;
        unsigned size;
        Home h;

        if (q.kind == PLACE_FUNCTION && r->kind >= REF_ABS32 && q.offset != 0) {
                emit_refuse(m, REFUSAL_CODE_ADDRESS_AMBIGUOUS, user, r->insn,
                            "a number that looks like an address inside a function");
                return;
        }
        if (q.kind == PLACE_FUNCTION) {
                if (!emit_code_home(m, user, r->target, call, &h))
                        return;
        } else if (q.kind == PLACE_CONST && jump_table(m->d->new, user, r->target, &size)) {
                /* It leads into this function: always the carried one. */
                m->whole[q.section - m->d->new_image->sections] = true;
                if (emit_absolute(m) && !emit_absolute_const(m, user, r->target))
                        return;
                h = (Home){ PATCH_BASE_SHADOW, r->target };
        } else if (is_beside(m->d->new, r, &q)) {
                emit_refuse(m, REFUSAL_CODE_ADDRESS_AMBIGUOUS, user, r->target,
                            "an array is reached from a place beside it");
                return;
        } else if (!emit_data_home(m, user, r->target, &q, &h)) {
                return;
        }
        if (q.kind != PLACE_FUNCTION && !r->lea && h.base == PATCH_BASE_OLD && (h.value - r->target) % 64) {
                const CodePart *part = code_part_at(m->d->new, r->insn);
                uint64_t n = part ? MIN(part->addr + part->size - r->insn, 15u) : 0;
                const uint8_t *b = n ? image_bytes(m->d->new_image, r->insn, n) : NULL;

                if (!b || (h.value - r->target) % decode_alignment(b, n)) {
                        emit_refuse(m, REFUSAL_CODE_LAYOUT_SHIFT, user, r->target,
                                    "a vector instruction needs an alignment that the old variable does not "
                                    "have");
                        return;
                }
        }
        switch (r->kind) {
        case REF_CALL:
        case REF_JUMP:
        case REF_PCREL:
                if (h.base == PATCH_BASE_SHADOW && h.value == r->target && !emit_is_variable(m, r->target))
                        return; /* right as it stands, always */
                if (r->field_size != 4) {
                        stand_in(m, user, r, &h);
                        return;
                }
                emit_reloc(m, r->field, R_X86_64_PC32, h.base, h.value, -(int64_t)r->after);
                return;
        case REF_ABS32:
                emit_reloc(m, r->field, R_X86_64_32, h.base, h.value, 0);
                m->p->low_addresses = true;
                return;
        case REF_ABS64:
                emit_reloc(m, r->field, R_X86_64_64, h.base, h.value, 0);
                return;
        }
}

static void emit_function(Emitter *m, uint32_t function) {
        const Code *code = m->d->new;
        const Function *g = &code->functions[function];

        for (uint32_t k = 0; k < g->n_parts; k++) {
                const CodePart *p = &code->parts[g->parts[k]];

                vec_push(&m->sections,
                         (PatchSection){ .name = arena_printf(m->p->arena, k ? ".text.%s.part%u" : ".text.%s",
                                                              g->name, k),
                                         .addr = p->addr,
                                         .size = p->size,
                                         .flags = SHF_ALLOC | SHF_EXECINSTR,
                                         .type = SHT_PROGBITS,
                                         .align = 1,
                                         .bytes = image_bytes(code->image, p->addr, p->size) });
        }
        for (uint32_t i = 0; i < g->n_refs; i++)
                emit_ref(m, g, &code->refs[g->ref + i]);
}

static int section_compare(const void *a, const void *b) {
        const PatchSection *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}
static int reloc_compare(const void *a, const void *b) {
        const PatchReloc *x = a, *y = b;

        return x->where < y->where ? -1 : x->where > y->where;
}
#define HAND_OVER(field)                                                                        \
        do {                                                                                    \
                p->field = arena_dup(p->arena, m->field.items, m->field.n * sizeof(*p->field)); \
                p->n_##field = m->field.n;                                                      \
        } while (0)

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static void copy_verdict(Patch *p, const Verdict *v) {
        verdict_init(&p->verdict, p->arena);
        for (size_t i = 0; i < v->n; i++)
                verdict_add(&p->verdict, v->findings[i].code, v->findings[i].subject, "%s",
                            v->findings[i].detail);
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
        for (size_t i = 0; i < p->n_variables; i++)
                p->variables[i].name = arena_strdup(p->arena, p->variables[i].name);
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

                if (last && s->addr < last->addr + last->size && s->flags == last->flags &&
                    s->type == last->type) {
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
        emit_variables(m);
        HAND_OVER(sections);
        HAND_OVER(relocs);
        HAND_OVER(sites);
        HAND_OVER(ranges);
        HAND_OVER(imports);
        HAND_OVER(words);
        HAND_OVER(variables);
        HAND_OVER(testimonies);
        HAND_OVER(users);
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
        p->hi = align_up(p->sections[p->n_sections - 1].addr + p->sections[p->n_sections - 1].size,
                         PAGE_SIZE_X86);
        copy_verdict(p, &m->d->verdict);
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
                        emit_carry(m, d->matches[i].new);
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
        emit_words(m);
        while (m->queue.n > 0)
                emit_function(m, m->queue.items[--m->queue.n]);
        emit_sites(m);
        emit_unwind(m);
        emit_unset(m);
        for (size_t i = 0; i < d->new_image->n_sections; i++)
                if (m->whole[i]) {
                        const ImageSection *s = &d->new_image->sections[i];

                        vec_push(&m->sections, (PatchSection){ .name = s->name,
                                                               .addr = s->addr,
                                                               .size = s->size,
                                                               .flags = SHF_ALLOC,
                                                               .type = SHT_PROGBITS,
                                                               .align = s->align ? s->align : 1,
                                                               .bytes = s->bytes });
                }
        if (!verdict_hotpatchable(&d->verdict, accepted)) {
                r = EMIT_REFUSED;
        } else {
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
        vec_free(&m->words);
        vec_free(&m->added);
        vec_free(&m->variables);
        vec_free(&m->testimonies);
        vec_free(&m->users);
        return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

/* The hazards of whole images (docs/verdict.md): everything but data layouts. */

static void judge_pair(Diff *d) {
        const Image *o = d->old_image, *n = d->new_image;
        Verdict *v = &d->verdict;

        if (o->type != n->type || o->executable != n->executable || o->dynamic != n->dynamic)
                verdict_add(v, REFUSAL_CODE_PAIR, n->path, "the way of linking differs");
        if (o->soname && n->soname && strcmp(o->soname, n->soname) != 0)
                verdict_add(v, REFUSAL_CODE_PAIR, n->soname, "the soname was %s", o->soname);
}

static const ImageSymbol *find_export(const Image *image, const ImageSymbol *like) {
        for (size_t i = 1; i < image->n_dynsyms; i++) {
                const ImageSymbol *s = &image->dynsyms[i];

                if (s->defined && strcmp(s->name, like->name) == 0 && strcmp(s->version, like->version) == 0)
                        return s;
        }
        return NULL;
}

static uint8_t export_kind(uint8_t type) {
        return type == STT_NOTYPE ? STT_FUNC : type;
}

/* The symbol leads to another function than before, or to another variable: whoever is bound to it stays with
 * the old one. */
static bool leads_elsewhere(Diff *d, const ImageSymbol *old, const ImageSymbol *new) {
        const CodePart *p = code_part_at(d->old, old->addr), *q = code_part_at(d->new, new->addr);
        const MapEntry *e;

        if (p && q)
                return d->matches[d->old_match[p->function]].new != q->function;
        e = !p && !q && old->type == STT_OBJECT ? diff_map(d, new->addr) : NULL;
        return e && e->state == MAP_TESTIFIED && e->old != old->addr &&
               place_of(d->new, new->addr).kind != PLACE_CONST;
}

/* A constant that others have, or that code has by its name only. */
static void judge_exported_constant(Diff *d, const ImageSymbol *old, const ImageSymbol *new) {
        const char *what = "";

        if (old->type != STT_OBJECT || old->size == 0 || old->size != new->size ||
            place_of(d->old, old->addr).kind != PLACE_CONST ||
            place_of(d->new, new->addr).kind != PLACE_CONST ||
            object_same(d, old->addr, new->addr, old->size, &what))
                return;
        if (versions_alike(d, old->addr, new->addr))
                verdict_add(&d->verdict, REFUSAL_CODE_CONST_LEFT, old->name, "a version or date");
        else
                verdict_add(&d->verdict, REFUSAL_CODE_DATA_CONST, old->name,
                            "an exported constant differs: %s", what);
}

static void judge_exports(Diff *d) {
        const Image *o = d->old_image, *n = d->new_image;
        size_t hint = 1;

        for (size_t i = 1; i < o->n_dynsyms; i++) {
                const ImageSymbol *s = &o->dynsyms[i], *t = NULL;

                if (!s->defined || s->bind == STB_LOCAL || s->type == STT_SECTION || s->type == STT_FILE)
                        continue;
                if (hint < n->n_dynsyms && strcmp(n->dynsyms[hint].name, s->name) == 0 &&
                    n->dynsyms[hint].defined && strcmp(n->dynsyms[hint].version, s->version) == 0)
                        t = &n->dynsyms[hint];
                else
                        t = find_export(n, s);
                if (t)
                        hint = (size_t)(t - n->dynsyms) + 1;
                if (!t && o->executable)
                        verdict_add(&d->verdict, REFUSAL_CODE_EXPORT_LEFT, s->name, "version %s",
                                    s->version[0] ? s->version : "(none)");
                else if (!t)
                        verdict_add(&d->verdict, REFUSAL_CODE_EXPORT_REMOVED, s->name, "version %s",
                                    s->version[0] ? s->version : "(none)");
                else if (export_kind(s->type) != export_kind(t->type))
                        verdict_add(&d->verdict, REFUSAL_CODE_EXPORT_REMOVED, s->name,
                                    "it is another kind of symbol now");
                else if ((s->type == STT_OBJECT || s->type == STT_TLS) && s->size != t->size)
                        verdict_add(&d->verdict, REFUSAL_CODE_EXPORT_REMOVED, s->name,
                                    "its size was %llu and is %llu", (unsigned long long)s->size,
                                    (unsigned long long)t->size);
                else if (leads_elsewhere(d, s, t))
                        verdict_add(&d->verdict,
                                    o->executable ? REFUSAL_CODE_EXPORT_LEFT : REFUSAL_CODE_EXPORT_REMOVED,
                                    s->name, "it leads to something else now");
                else
                        judge_exported_constant(d, s, t);
        }
}

static void judge_needed(Diff *d) {
        const Image *o = d->old_image, *n = d->new_image;

        for (size_t i = 0; i < n->n_needed; i++) {
                size_t k = 0;

                while (k < o->n_needed && strcmp(o->needed[k], n->needed[i]) != 0)
                        k++;
                if (k == o->n_needed)
                        verdict_add(&d->verdict, REFUSAL_CODE_IMPORT_NEW, n->needed[i],
                                    "a library that the old image does not need");
        }
}

static void judge_tls(Diff *d) {
        const Image *o = d->old_image, *n = d->new_image;
        const char *what = "";

        if (o->has_tls != n->has_tls || o->tls_size != n->tls_size || o->tls_file_size != n->tls_file_size ||
            o->tls_align != n->tls_align) {
                verdict_add(&d->verdict, REFUSAL_CODE_TLS_CHANGED, "TLS",
                            "the block has %llu bytes instead of %llu", (unsigned long long)n->tls_size,
                            (unsigned long long)o->tls_size);
                return;
        }
        if (!o->has_tls)
                return;
        if (o->tls_file_size && !object_same(d, o->tls_addr, n->tls_addr, o->tls_file_size, &what))
                verdict_add(&d->verdict, REFUSAL_CODE_TLS_CHANGED, "TLS", "initial values differ: %s", what);
        if (d->tls_moved)
                verdict_add(&d->verdict, REFUSAL_CODE_TLS_CHANGED, "TLS",
                            "code that is otherwise the same uses another place of the block");
        for (int table = 0; table < 2; table++) {
                const ImageSymbol *s = table ? o->syms : o->dynsyms, *t = table ? n->syms : n->dynsyms;
                size_t n_s = table ? o->n_syms : o->n_dynsyms, n_t = table ? n->n_syms : n->n_dynsyms;

                for (size_t i = 0; i < n_s; i++) {
                        bool named = false, there = false; /* files may have variables of one name each */

                        for (size_t k = 0; s[i].type == STT_TLS && s[i].defined && k < n_t && !there; k++)
                                if (t[k].type == STT_TLS && t[k].defined &&
                                    strcmp(s[i].name, t[k].name) == 0) {
                                        named = true;
                                        there = s[i].addr == t[k].addr;
                                }
                        if (named && !there)
                                verdict_add(&d->verdict, REFUSAL_CODE_TLS_CHANGED, s[i].name,
                                            "moved inside the block");
                }
        }
}

static void judge_list(Diff *d, const char *what, uint64_t old, uint64_t old_size, uint64_t new,
                       uint64_t new_size) {
        if (old_size != new_size) {
                verdict_add(&d->verdict, REFUSAL_CODE_CTOR_CHANGED, what, "%llu functions instead of %llu",
                            (unsigned long long)new_size / 8, (unsigned long long)old_size / 8);
                return;
        }
        for (uint64_t i = 0; i + 8 <= old_size; i += 8) {
                const ImageReloc *r = image_reloc_at(d->old_image, old + i),
                                 *s = image_reloc_at(d->new_image, new + i);
                uint64_t a = 0, b = 0;
                const uint8_t *p, *q;

                if ((r == NULL) != (s == NULL) || (r && !relocs_same(d, r, s))) {
                        verdict_add(&d->verdict, REFUSAL_CODE_CTOR_CHANGED, what, "entry %llu differs",
                                    (unsigned long long)i / 8);
                        continue;
                }
                if (!r && (p = image_bytes(d->old_image, old + i, 8)) &&
                    (q = image_bytes(d->new_image, new + i, 8))) {
                        const Function *f, *g;

                        memcpy(&a, p, 8);
                        memcpy(&b, q, 8);
                        f = code_function_at(d->old, a);
                        g = code_function_at(d->new, b);
                        if (f && g &&
                            d->matches[d->old_match[f - d->old->functions]].new !=
                                    (uint32_t)(g - d->new->functions))
                                verdict_add(&d->verdict, REFUSAL_CODE_CTOR_CHANGED, what,
                                            "entry %llu differs", (unsigned long long)i / 8);
                }
        }
}

/* "lea 0(itself)": the base from which code of the large model (-mcmodel=large) reaches everything, at
 * distances that are numbers to us. */
static bool knows_its_place(const Code *c, const Function *f) {
        for (uint32_t i = 0; i < f->n_refs; i++) {
                const Ref *r = &c->refs[f->ref + i];

                if (r->kind == REF_PCREL && r->lea && r->target == r->insn)
                        return true;
        }
        return false;
}

static void judge_functions(Diff *d) {
        for (size_t i = 0; i < d->n_matches; i++) {
                const Match *m = &d->matches[i];
                const Function *f = match_old(d, m), *g = match_new(d, m);

                if (f && f->ifunc && (m->kind != MATCH_IDENTICAL || (g && !g->ifunc)))
                        verdict_add(&d->verdict, REFUSAL_CODE_IFUNC_CHANGED, f->name, "%s", m->why);
                if (m->kind == MATCH_IDENTICAL || m->kind == MATCH_REMOVED)
                        continue;
                if (g && knows_its_place(d->new, g))
                        verdict_add(&d->verdict, REFUSAL_CODE_ADDRESS_AMBIGUOUS, g->name,
                                    "it reaches code and data by distances from its own address (large code "
                                    "model)");
                if ((f && f->uncovered) || (g && g->uncovered && m->kind != MATCH_ADDED))
                        verdict_add(&d->verdict, REFUSAL_CODE_ASM_CHANGED, f ? f->name : g->name, "%s",
                                    m->why);
                if ((f && f->undecoded) || (g && g->undecoded && m->kind != MATCH_ADDED))
                        verdict_add(&d->verdict, REFUSAL_CODE_CODE_UNDECODED, g ? g->name : f->name, "%s",
                                    m->why);
        }
}

/* Few equal functions: nothing that the map says can be trusted. */
static void judge_share(Diff *d) {
        size_t all = MAX(d->old->n_functions, d->new->n_functions);

        if (all >= 12 && d->n_identical * 2 < all)
                verdict_add(&d->verdict, REFUSAL_CODE_ALL_CHANGED, d->new_image->path,
                            "%zu of %zu functions are the same", d->n_identical, all);
}

/* A version or a date: text that differs in digits and what stands between them, and holds two or
 * more separators. */
static bool version_text(const Diff *d, const MapEntry *e) {
        uint64_t n = MIN(const_extent(d->old, e->old), const_extent(d->new, e->new));
        const uint8_t *a = image_bytes(d->old_image, e->old, n), *b = image_bytes(d->new_image, e->new, n);

        return a && b && unrelocated(d->old_image, e->old, n) && single_string(a, n) && single_string(b, n) &&
               versions_alike(d, e->old, e->new);
}

/* The description of an Apache module that differs in one number only: the minor one of the interface that
 * it was compiled for, which the server reads when it loads the module and never again. */
static bool apache_module_rebuilt(Diff *d, const MapEntry *e, uint64_t size) {
        enum { MINOR = 4, BEHIND = 8, MAGIC = 40, MODULE = 48, AP24 = 0x41503234 };
        const uint8_t *a = image_bytes(d->old_image, e->old, MODULE),
                      *b = image_bytes(d->new_image, e->new, MODULE);
        const char *what = "";
        uint64_t x, y;

        if (size < MODULE || !a || !b || memcmp(a, b, MINOR) != 0)
                return false;
        memcpy(&x, a + MAGIC, sizeof(x));
        memcpy(&y, b + MAGIC, sizeof(y));
        return x == AP24 && y == AP24 &&
               object_same(d, e->old + BEHIND, e->new + BEHIND, size - BEHIND, &what);
}

/* From a variable to where something else begins: did it grow? */
static void judge_room(Diff *d, const MapEntry *e, uint64_t old_end, uint64_t new_end, const char *what) {
        uint64_t gap_old = old_end - e->old, gap_new = new_end - e->new, shift = e->new - e->old;
        unsigned width;

        if (gap_new <= gap_old)
                return;
        for (uint64_t at = code_next_target(d->new, e->new); at < new_end; at = code_next_target(d->new, at))
                if (at - e->new >= gap_old)
                        return; /* something came in behind it */
        /* Padding before something aligned to 32 changes when what is before it moves. */
        if (new_end % 32 == 0 && old_end % 32 == 0 && gap_new - gap_old < 32 && shift % 32 != 0)
                return;
        if (accessed_only(d->new, e->new, &width))
                return; /* a scalar: it ends with its width */
        verdict_add(&d->verdict, REFUSAL_CODE_DATA_RESIZED, data_name(d, e->new),
                    "%llu bytes up to %s instead of %llu", (unsigned long long)gap_new, what,
                    (unsigned long long)gap_old);
}

/* The same of the last one of a section. Linkers pad a section's end to 8 bytes. */
static void judge_last(Diff *d, const MapEntry *e, const ImageSection *new_section) {
        const ImageSection *old_section = image_section_at(d->old_image, e->old);
        uint64_t old_end = old_section ? old_section->addr + old_section->size : 0,
                 new_end = new_section->addr + new_section->size;

        if (old_section && new_end - e->new >= old_end - e->old + 8)
                judge_room(d, e, old_end, new_end, "the end of its section");
}

static void judge_data(Diff *d) {
        const MapEntry *last = NULL;
        const ImageSection *last_section = NULL;

        for (size_t i = 0; i < d->n_map; i++) {
                const MapEntry *e = &d->map[i];
                Place q = place_of(d->new, e->new);
                const ImageSection *s;
                const char *what = "";
                uint64_t n_old, n_new, size;

                if (e->state != MAP_TESTIFIED || q.kind != PLACE_DATA)
                        continue;
                s = image_section_at(d->old_image, e->old);
                if (!s || strcmp(s->name, q.section->name) != 0) {
                        verdict_add(&d->verdict, REFUSAL_CODE_DATA_INITIAL, data_name(d, e->new),
                                    "it moved from %s to %s", s ? s->name : "nowhere", q.section->name);
                        continue;
                }
                n_old = const_extent(d->old, e->old);
                n_new = const_extent(d->new, e->new);
                size = MIN(n_old, n_new);
                /* Up to the next variable whose place is known, when it is as far in both. */
                if (i + 1 < d->n_map && d->map[i + 1].state == MAP_TESTIFIED &&
                    d->map[i + 1].new - e->new == d->map[i + 1].old - e->old &&
                    d->map[i + 1].new < q.section->addr + q.section->size)
                        size = d->map[i + 1].new - e->new;
                else if (q.section->addr + q.section->size - e->new == s->addr + s->size - e->old &&
                         !map_neighbour(d, e->new + 1, 1))
                        size = q.section->addr + q.section->size - e->new;
                if (q.section->type != SHT_NOBITS && version_text(d, e) &&
                    !object_same(d, e->old, e->new, MIN(n_old, n_new), &what)) {
                        uint64_t n = n_old == n_new ? n_old : size;

                        verdict_add(&d->verdict, REFUSAL_CODE_CONST_LEFT, data_name(d, e->new), "%s",
                                    "a version or date in a variable");
                        if (size > n && !object_same(d, e->old + n, e->new + n, size - n, &what))
                                verdict_add(&d->verdict, REFUSAL_CODE_DATA_INITIAL, data_name(d, e->new + n),
                                            "%s", what);
                } else if (q.section->type != SHT_NOBITS && size &&
                           !object_same(d, e->old, e->new, size, &what)) {
                        if (apache_module_rebuilt(d, e, size))
                                verdict_add(&d->verdict, REFUSAL_CODE_CONST_LEFT, data_name(d, e->new),
                                            "the minor number of the server's interface, which is read when "
                                            "a module is loaded");
                        else
                                verdict_add(&d->verdict, REFUSAL_CODE_DATA_INITIAL, data_name(d, e->new),
                                            "%s", what);
                }
                if (last && last_section == q.section && e->old > last->old)
                        judge_room(d, last, e->old, e->new, "the next variable");
                else if (last && last_section != q.section)
                        judge_last(d, last, last_section);
                last = e;
                last_section = q.section;
        }
        if (last)
                judge_last(d, last, last_section);
        if (d->versions_left)
                verdict_add(&d->verdict, REFUSAL_CODE_CONST_LEFT, "version",
                            "a variable points to a version or date");
        /* With names on both sides sizes are exact. */
        for (size_t i = 0; i < d->old_image->n_syms; i++) {
                const ImageSymbol *s = &d->old_image->syms[i], *found = NULL;
                size_t same = 0;

                if (s->type != STT_OBJECT || !s->defined || s->size == 0)
                        continue;
                for (size_t k = 0; k < d->new_image->n_syms; k++) {
                        const ImageSymbol *t = &d->new_image->syms[k];

                        if (t->type == STT_OBJECT && t->defined && strcmp(s->name, t->name) == 0) {
                                same++;
                                found = t;
                        }
                }
                const ImageSection *sec = image_section_at(d->old_image, s->addr);

                if (same == 1 && found->size != s->size && sec && (sec->flags & SHF_WRITE))
                        verdict_add(&d->verdict, REFUSAL_CODE_DATA_RESIZED, s->name,
                                    "%llu bytes instead of %llu", (unsigned long long)found->size,
                                    (unsigned long long)s->size);
        }
}

/* main is on the stack for good. When only a constant that it uses changed, it stays as it is: it is the old
 * main that goes on running in any case, with the text that it has. */
static void judge_main(Diff *d) {
        const Function *f = main_function(d->old);
        Match *m;

        if (!f)
                return;
        m = &d->matches[d->old_match[f - d->old->functions]];
        if (m->kind == MATCH_CHANGED)
                verdict_add(&d->verdict, REFUSAL_CODE_MAIN_CHANGED, f->name, "%s", m->why);
        if (m->kind == MATCH_CARRIED) {
                verdict_add(&d->verdict, REFUSAL_CODE_CONST_LEFT, f->name, "%s", m->why);
                m->kind = MATCH_IDENTICAL;
                d->n_carried--;
                d->n_identical++;
        }
}

void judge_hazards(Diff *d) {
        const Image *o = d->old_image, *n = d->new_image;

        judge_pair(d);
        judge_exports(d);
        judge_needed(d);
        judge_tls(d);
        judge_list(d, "constructor", o->init_array, o->init_array_size, n->init_array, n->init_array_size);
        judge_list(d, "constructor", o->preinit_array, o->preinit_array_size, n->preinit_array,
                   n->preinit_array_size);
        judge_list(d, "destructor", o->fini_array, o->fini_array_size, n->fini_array, n->fini_array_size);
        judge_startup(d);
        judge_functions(d);
        judge_share(d);
        judge_data(d);
        judge_main(d);
}

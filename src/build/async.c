/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"

#include <elf.h>
#include <string.h>

/*
 * Bodies of Rust's async functions and blocks. The compiler makes one function of each, which is called anew
 * to go on and finds in its object where it waits. When it is called once more although it has returned it
 * panics, with a text that is the same in all programs. Older compilers (until 1.77) write the text into each
 * body; newer ones have one function for it that does nothing else, with the text in an instruction or behind
 * a word of a constant.
 */

static const char said_by_all[] = " resumed after completion";

static bool is_text(const Image *image, uint64_t addr) {
        static const char *const what[] = { "`async fn`", "`async gen fn`", "coroutine", "generator" };

        for (size_t i = 0; i < ELEMENTSOF(what); i++) {
                size_t n = strlen(what[i]), m = strlen(said_by_all);
                const uint8_t *b = image_bytes(image, addr, n + m);

                if (b && memcmp(b, what[i], n) == 0 && memcmp(b + n, said_by_all, m) == 0)
                        return true;
        }
        return false;
}

static bool has_texts(const Image *image) {
        for (size_t i = 0; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];

                if (s->bytes && (s->flags & SHF_ALLOC) && !(s->flags & (SHF_EXECINSTR | SHF_WRITE)) &&
                    memmem(s->bytes, s->size, said_by_all, strlen(said_by_all)))
                        return true;
        }
        return false;
}

static bool says_by_name(const char *name) {
        return strstr(name, "panic_const_async_fn_resumed") || strstr(name, "panic_const_coroutine_resumed");
}

static bool imports_it(const Image *image) {
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (!image->dynsyms[i].defined && says_by_name(image->dynsyms[i].name))
                        return true;
        return false;
}

static void mark_importers(const Code *code, bool *out) {
        for (size_t i = 0; i < code->n_refs; i++) {
                Place place = place_of(code, code->refs[i].target);

                if (place.kind == PLACE_IMPORT && says_by_name(place.name))
                        out[code->refs[i].function] = true;
        }
}

/* A body finds out where it waits; the function that only says so branches nowhere. */
static bool branches(const Code *code, const Function *f) {
        for (uint32_t k = 0; k < f->n_parts; k++) {
                const CodePart *p = &code->parts[f->parts[k]];

                for (uint32_t i = p->insn; i < p->insn + p->n_insns; i++)
                        if (code->insns[i].flags & INSN_INTERNAL)
                                return true;
        }
        return false;
}

/* The part whose start is called, also through a slot; NULL: none. */
static const CodePart *called(const Code *code, const Ref *r) {
        Place place = { 0 };

        if (r->kind == REF_PCREL)
                place = place_of(code, r->target);
        return code_part_start(code, place.kind == PLACE_POINTER ? place.target : r->target);
}

void mark_async_bodies(Diff *d, const Code *code, bool *out) {
        bool *says;

        if (imports_it(code->image))
                mark_importers(code, out);
        if (!has_texts(code->image))
                return;
        says = arena_newa(d->arena, bool, code->n_functions + 1);
        for (size_t i = 0; i < code->n_refs; i++) {
                const Ref *r = &code->refs[i];

                if (takes_address(r) && (is_text(code->image, r->target) ||
                                         is_text(code->image, address_at(code->image, r->target))))
                        says[r->function] = true;
        }
        for (uint32_t i = 0; i < code->n_functions; i++) {
                out[i] |= says[i] && branches(code, &code->functions[i]);
                says[i] = says[i] && !out[i];
        }
        for (size_t i = 0; i < code->n_refs; i++) {
                const CodePart *p = called(code, &code->refs[i]);

                if (p && says[p->function])
                        out[code->refs[i].function] = true;
        }
}

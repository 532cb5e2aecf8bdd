/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/emit.h"
#include "build/unwind.h"

#include <elf.h>
#include <string.h>

/* Whether exceptions may pass through frames of this image: it binds the runtime of C++ (or of another
 * language), or holds it. A static C program holds unwind data with the personality routine for thread
 * cancellation, which ends at the first frame without; one more such routine is another language's. C++ is
 * known by the name of its base class as well, Rust by a variable of the environment that it asks for. */
static bool throws(const Image *image) {
        static const char *const words[] = { "St9exception", "RUST_BACKTRACE" };
        uint64_t routine = 0;

        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (strncmp(image->dynsyms[i].name, "_Unwind_R", 9) == 0 ||
                    strstr(image->dynsyms[i].name, "_personality_v0"))
                        return true;
        for (size_t i = 0; i < image->n_fdes; i++) {
                uint64_t other = image->fdes[i].personality;

                if (routine && other && other != routine)
                        return true;
                routine = other ? other : routine;
        }
        for (size_t i = 0; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];

                for (size_t k = 0; k < ELEMENTSOF(words) && s->bytes && (s->flags & SHF_ALLOC); k++)
                        if (!(s->flags & SHF_EXECINSTR) &&
                            memmem(s->bytes, s->size, words[k], strlen(words[k])))
                                return true;
        }
        return false;
}

/*
 * Whether the process unwinds this image's frames with code that is part of the image itself: libgcc linked
 * in, as in every static program. It asks the C library for the images that were loaded, and nothing tells it
 * of another one. Libgcc asks for one object since glibc 2.35, for all of them before that, as other code
 * does.
 */
static bool own_unwinder(const Image *image) {
        bool asks = false, bound = false;

        for (size_t i = 1; i < image->n_dynsyms; i++) {
                const ImageSymbol *sym = &image->dynsyms[i];

                if (sym->defined)
                        continue;
                if (strcmp(sym->name, "_dl_find_object") == 0)
                        return true;
                asks = asks || strcmp(sym->name, "dl_iterate_phdr") == 0;
                bound = bound || strncmp(sym->name, "_Unwind_", 8) == 0;
        }
        return !bound && (asks || (image->executable && !image->interp));
}

/* The whole unwind table of the new image is carried at its place, so that exceptions of other images
 * and backtraces pass through; entries of functions that are not carried describe nothing that runs.
 * Where frames of this image handle exceptions, their tables go along, and the cells that these refer to
 * (personality routines, types to catch). */
void emit_unwind(Emitter *m) {
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
                        verdict_add(&m->d->verdict, REFUSAL_CODE_UNWIND_NEEDED, g->name,
                                    "its exception table cannot be carried");
                        continue;
                }
                if (f->personality)
                        vec_push(&cells, f->personality);
                for (size_t k = 0; k < found.n; k++)
                        vec_push(&cells, found.items[k]);
                vec_free(&found);
        }
        if (!n->eh_frame) {
                vec_free(&cells);
                return;
        }
        if (needed && own_unwinder(m->d->old_image))
                verdict_add(&m->d->verdict, REFUSAL_CODE_UNWIND_NEEDED, "unwinder",
                            "it is linked into the image, and cannot be told of new code");
        for (size_t i = 0; needed && i < cells.n; i++) {
                const ImageSection *s = image_section_at(n, cells.items[i]);

                if (!s || !(s->flags & SHF_WRITE))
                        verdict_add(&m->d->verdict, REFUSAL_CODE_UNWIND_NEEDED, "exception tables",
                                    "they refer to types or routines directly");
                else
                        emit_carry_data(m, NULL, cells.items[i], cells.items[i] + 8);
        }
        vec_free(&cells);
        for (size_t i = 0; i < n->n_sections; i++)
                if (strcmp(n->sections[i].name, ".eh_frame") == 0 ||
                    (needed && strcmp(n->sections[i].name, ".gcc_except_table") == 0))
                        m->whole[i] = true;
        m->p->eh_frame = n->eh_frame_addr;
        m->p->eh_frame_size = n->eh_frame_size;
}

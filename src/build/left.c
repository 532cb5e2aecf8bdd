/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"

#include <elf.h>
#include <string.h>

/*
 * Old functions that have no partner in the new build, and may run all the same: a thread began in one, an
 * object holds the address of one. They were compiled against the old functions that they call, and reach the
 * new ones. Where one of these takes other arguments now, or takes them in another way (compilers agree on
 * that between a function and all its callers, when they see all), old code hands it the wrong ones. That a
 * function is called as before is known when somebody who has not changed calls it.
 */

static void mark(const Code *code, uint64_t addr, bool *out) {
        const CodePart *p = code_part_start(code, addr);

        if (p && code->functions[p->function].addr == addr)
                out[p->function] = true;
}

/* In a program at a fixed address data holds the addresses of functions as numbers. */
static void mark_words(const Code *code, bool *out) {
        for (size_t i = 0; i < code->image->n_sections; i++) {
                const ImageSection *s = &code->image->sections[i];

                if (!s->bytes || !(s->flags & SHF_ALLOC) || (s->flags & SHF_EXECINSTR))
                        continue;
                for (uint64_t at = -s->addr % 8; at + 8 <= s->size; at += 8) {
                        uint64_t v;

                        memcpy(&v, s->bytes + at, sizeof(v));
                        if (v >= code->image->lo && v < code->image->hi)
                                mark(code, v, out);
                }
        }
}

/* Functions whose address may be kept somewhere. */
static bool *addressed(const Code *code, Arena *arena) {
        bool *out = arena_newa(arena, bool, code->n_functions + 1);
        const Image *image = code->image;

        for (size_t i = 0; i < code->n_refs; i++)
                if (takes_address(&code->refs[i]))
                        mark(code, code->refs[i].target, out);
        for (size_t i = 0; i < image->n_relocs; i++)
                if (image->relocs[i].symbol == 0)
                        mark(code, (uint64_t)image->relocs[i].addend, out);
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (image->dynsyms[i].defined)
                        mark(code, image->dynsyms[i].addr, out);
        if (image->type == ET_EXEC)
                mark_words(code, out);
        return out;
}

static uint32_t callee(const Code *code, const Ref *r) {
        const CodePart *p = code_part_start(code, r->target);

        return p && p->function != r->function && code->functions[p->function].addr == r->target
                       ? p->function
                       : NO_FUNCTION;
}

static bool stays(const Diff *d, uint32_t old) {
        return d->matches[d->old_match[old]].kind == MATCH_REMOVED;
}

static bool has_changed(const Diff *d, uint32_t old) {
        const Match *m = &d->matches[d->old_match[old]];

        return m->kind == MATCH_CHANGED && match_old(d, m)->norm != match_new(d, m)->norm;
}

/* Coroutines that are suspended in an old function go on there, on stacks that no thread is on. */
static bool has_coroutines(const Image *image) {
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (!image->dynsyms[i].defined && (strcmp(image->dynsyms[i].name, "swapcontext") == 0 ||
                                                   strcmp(image->dynsyms[i].name, "setcontext") == 0))
                        return true;
        return false;
}

void judge_left(Diff *d) {
        const Code *code = d->old;
        bool *runs = addressed(code, d->arena), *called = arena_newa(d->arena, bool, code->n_functions + 1),
             *said = arena_newa(d->arena, bool, code->n_functions + 1),
             coroutines = has_coroutines(d->old_image), more = true;

        for (uint32_t i = 0; i < code->n_functions; i++)
                runs[i] = (runs[i] && stays(d, i)) || (coroutines && has_changed(d, i));
        while (more) {
                more = false;
                for (size_t i = 0; i < code->n_refs; i++) {
                        uint32_t to = callee(code, &code->refs[i]);

                        if (to == NO_FUNCTION || !runs[code->refs[i].function] || runs[to] || !stays(d, to))
                                continue;
                        runs[to] = more = true;
                }
        }
        for (size_t i = 0; i < code->n_refs; i++) {
                uint32_t to = callee(code, &code->refs[i]);
                MatchKind kind = d->matches[d->old_match[code->refs[i].function]].kind;

                if (to != NO_FUNCTION && (kind == MATCH_IDENTICAL || kind == MATCH_CARRIED))
                        called[to] = true;
        }
        for (size_t i = 0; i < code->n_refs; i++) {
                uint32_t from = code->refs[i].function, to = callee(code, &code->refs[i]);

                if (to == NO_FUNCTION || !runs[from] || called[to] || said[to] || !has_changed(d, to) ||
                    code->functions[to].exported)
                        continue;
                said[to] = true;
                verdict_add(&d->verdict, REFUSAL_CODE_CALLER_LEFT, code->functions[to].name,
                            "called by %s, which the new build does not have: nothing shows that it may "
                            "still be called as it was",
                            code->functions[from].name);
        }
}

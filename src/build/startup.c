/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"
#include "build/values.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* Code that a process runs once, when it starts or loads the image: constructors, what main does before it
 * waits for events, what programs call of a plug-in that they have just loaded, and what once.c finds. */

static bool in_list(const Image *image, uint64_t addr) {
        return addr - image->init_array < image->init_array_size ||
               addr - image->preinit_array < image->preinit_array_size;
}

static void mark_start(const Code *code, uint64_t addr, bool *out, bool value) {
        const CodePart *p = code_part_start(code, addr);

        if (p)
                out[p->function] = value;
}

/*
 * What the host of a plug-in calls when it has loaded it, once in the life of a process, by the rules of the
 * host. A name that anybody may use counts only beside an import of the host's interface.
 */
static bool loader_calls(const Image *image, const ImageSymbol *s) {
        static const struct {
                const char *begins, *ends, *imports;
        } entries[] = {
                { "Init_", "", "rb_" },                 /* Ruby: require */
                { "PyInit_", "", "Py" },                /* Python: import */
                { "boot_", "", "Perl_" },               /* Perl: XSLoader */
                { "_PG_init", "", "" },                 /* PostgreSQL: in each server process that loads it */
                { "JNI_OnLoad", "", "" },               /* Java */
                { "ToolsOnLoad", "", "" },              /* open-vm-tools */
                { "gst_plugin_", "_register", "gst_" }, /* GStreamer */
        };

        for (size_t i = 0; !image->executable && s->defined && i < ELEMENTSOF(entries); i++) {
                size_t length = strlen(s->name), begins = strlen(entries[i].begins),
                       ends = strlen(entries[i].ends), imports = strlen(entries[i].imports);

                if (length < begins + ends || strncmp(s->name, entries[i].begins, begins) != 0 ||
                    strcmp(s->name + length - ends, entries[i].ends) != 0)
                        continue;
                if (imports == 0)
                        return true;
                for (size_t k = 1; k < image->n_dynsyms; k++)
                        if (!image->dynsyms[k].defined &&
                            strncmp(image->dynsyms[k].name, entries[i].imports, imports) == 0)
                                return true;
        }
        return false;
}

/* The functions that the lists of constructors name (programs at a fixed address have no relocations there),
 * and those that a plug-in's host calls as it calls constructors. */
static bool *constructors(const Code *code, Arena *arena) {
        const Image *image = code->image;
        bool *out = arena_newa(arena, bool, code->n_functions + 1);
        const uint64_t lists[2][2] = { { image->init_array, image->init_array_size },
                                       { image->preinit_array, image->preinit_array_size } };

        for (size_t i = 0; i < image->n_relocs; i++)
                if (image->relocs[i].symbol == 0 && in_list(image, image->relocs[i].addr))
                        mark_start(code, (uint64_t)image->relocs[i].addend, out, true);
        for (int list = 0; list < 2; list++)
                for (uint64_t at = 0; at + 8 <= lists[list][1]; at += 8) {
                        const uint8_t *b = image_bytes(image, lists[list][0] + at, 8);
                        uint64_t v = 0;

                        if (b && image->type == ET_EXEC)
                                memcpy(&v, b, 8);
                        if (v)
                                mark_start(code, v, out, true);
                }
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (loader_calls(image, &image->dynsyms[i]))
                        mark_start(code, image->dynsyms[i].addr, out, true);
        return out;
}

/*
 * Marks in `later` what may run again once the constructors have run: of all that these reach (`reached`),
 * what others refer to, and what such functions reach in turn.
 */
static void mark_later(const Code *code, const bool *reached, bool *later) {
        const Image *image = code->image;
        bool more = true;

        for (size_t i = 0; i < image->n_relocs; i++)
                if (image->relocs[i].symbol == 0 && !in_list(image, image->relocs[i].addr))
                        mark_start(code, (uint64_t)image->relocs[i].addend, later, true);
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (image->dynsyms[i].defined && !loader_calls(image, &image->dynsyms[i]))
                        mark_start(code, image->dynsyms[i].addr, later, true);
        while (more) {
                more = false;
                for (size_t i = 0; i < code->n_refs; i++) {
                        const Ref *r = &code->refs[i];
                        const CodePart *p = code_part_start(code, r->target);

                        if (!p || p->function == r->function || later[p->function] || !reached[p->function] ||
                            (reached[r->function] && !later[r->function] && !takes_address(r)))
                                continue;
                        later[p->function] = more = true;
                }
        }
}

/* What constructors reach by calls, themselves included. */
static void mark_reached(const Code *code, bool *reached) {
        bool more = true;

        while (more) {
                more = false;
                for (uint32_t i = 0; i < code->n_functions; i++) {
                        const Function *f = &code->functions[i];

                        for (uint32_t k = 0; reached[i] && k < f->n_refs; k++) {
                                const CodePart *p = code_part_start(code, code->refs[f->ref + k].target);

                                if (p && !reached[p->function])
                                        reached[p->function] = more = true;
                        }
                }
        }
}

/* What constructors have done is done. One that has changed, or has a part that nobody else calls and that
 * has, would have left other values behind; one whose instructions are the same and whose variable only could
 * not be told from its likes (static guards of the C++ library) stays as it is, when nothing else refers to
 * it. */
static void judge_constructors(Diff *d) {
        bool *listed = constructors(d->old, d->arena), *reached = constructors(d->old, d->arena),
             *later = arena_newa(d->arena, bool, d->old->n_functions + 1), any = false;

        mark_reached(d->old, reached);
        for (uint32_t i = 0; i < d->old->n_functions && !any; i++)
                any = reached[i] && (d->matches[d->old_match[i]].kind == MATCH_CHANGED ||
                                     d->matches[d->old_match[i]].kind == MATCH_CARRIED);
        if (!any)
                return;
        mark_later(d->old, reached, later);
        for (uint32_t i = 0; i < d->old->n_functions; i++) {
                Match *m = &d->matches[d->old_match[i]];

                if (!(listed[i] || (reached[i] && !later[i])) ||
                    (m->kind != MATCH_CHANGED && m->kind != MATCH_CARRIED))
                        continue;
                if (m->kind == MATCH_CARRIED || d->old->functions[i].norm != d->new->functions[m->new].norm) {
                        verdict_add(&d->verdict, REFUSAL_CODE_CTOR_CHANGED, d->old->functions[i].name, "%s",
                                    m->why);
                        continue;
                }
                if (later[i])
                        continue;
                verdict_add(&d->verdict, REFUSAL_CODE_STARTUP_ONLY, d->old->functions[i].name, "%s", m->why);
                m->kind = MATCH_IDENTICAL;
                d->n_changed--;
                d->n_identical++;
                d->constructor_doubt = true;
        }
}

/* The instruction puts an address into the register of a call's first argument: lea, or mov of a number. */
static bool loads_first_argument(const Code *code, const Ref *r) {
        static const uint8_t forms[][3] = { { 0x48, 0x8d, 0x3d }, { 0x48, 0xc7, 0xc7 }, { 0xbf } };
        size_t size = r->field - r->insn;
        const uint8_t *b = takes_address(r) ? image_bytes(code->image, r->insn, size) : NULL;

        for (size_t i = 0; b && i < ELEMENTSOF(forms); i++)
                if (size == (i < 2 ? 3u : 1u) && memcmp(b, forms[i], size) == 0)
                        return true;
        return false;
}

/* The function that the entry point hands to __libc_start_main as its first argument. */
const Function *main_function(const Code *code) {
        const Function *start;

        if (!code->image->executable || !code->image->entry)
                return NULL;
        start = code_function_at(code, code->image->entry);
        for (uint32_t i = 0; start && i < start->n_refs; i++) {
                const Ref *r = &code->refs[start->ref + i];

                if (r->begins != NO_FUNCTION && loads_first_argument(code, r))
                        return &code->functions[r->begins];
        }
        return NULL;
}

enum { CALL_WAITS = 1, CALL_ENDS = 2 };

typedef struct Walk {
        const Code *code;
        uint8_t *calls;  /* CALL_*, by instruction */
        uint32_t *seen;  /* the walk that has been at an instruction */
        uint32_t *stack; /* of instructions to go on from */
        uint32_t *cases; /* where the jump tables of the function lead to */
        uint32_t n_cases;
        uint32_t walk;
} Walk;

/* Index of the instruction at the address in a part of `f`; UINT32_MAX: none. */
static uint32_t insn_at(const Code *code, const Function *f, uint64_t addr) {
        const CodePart *p = code_part_at(code, addr);

        return p && &code->functions[p->function] == f ? code_insn_at(code, p, addr) : UINT32_MAX;
}

static uint32_t go_on(Walk *w, uint32_t n, uint32_t insn) {
        if (insn == UINT32_MAX || w->seen[insn] == w->walk)
                return n;
        w->seen[insn] = w->walk;
        w->stack[n] = insn;
        return n + 1;
}

/* Notes where the jump tables that `f` refers to lead. */
static void read_cases(Walk *w, const Function *f) {
        w->n_cases = 0;
        for (uint32_t i = 0; i < f->n_refs; i++) {
                const Ref *r = &w->code->refs[f->ref + i];
                unsigned size = 0;
                uint32_t n = r->lea ? jump_table(w->code, f, r->target, &size) : 0;

                for (uint32_t k = 0; k < n && w->n_cases < w->code->n_insns; k++) {
                        uint32_t to = insn_at(w->code, f, jump_table_entry(w->code, r->target, size, k));

                        if (to != UINT32_MAX)
                                w->cases[w->n_cases++] = to;
                }
        }
}

/* Whether a call in `f` is made once at most for each time that `f` runs, and before a call that waits. */
static bool once_before_waiting(Walk *w, const Function *f, uint64_t addr) {
        const Code *code = w->code;
        uint32_t site = insn_at(code, f, addr), n = 0;
        bool waits_later = false;

        if (site == UINT32_MAX)
                return false;
        w->walk++;
        w->stack[n++] = site;
        while (n > 0) {
                uint32_t i = w->stack[--n], branch = UINT32_MAX;
                const Insn *insn = &code->insns[i];
                const CodePart *p = code_part_at(code, insn_addr(code, insn));

                if (i != site && (w->calls[i] & CALL_WAITS))
                        waits_later = true;
                if ((insn->flags & INSN_INDIRECT) && w->n_cases == 0)
                        return false;
                for (uint32_t k = 0; (insn->flags & INSN_INDIRECT) && k < w->n_cases; k++)
                        n = go_on(w, n, w->cases[k]);
                if (insn->flags & INSN_INTERNAL)
                        branch = insn_at(code, f, code_branch_target(code, insn));
                n = go_on(w, n, branch);
                if (!(insn->flags & INSN_END) && !(w->calls[i] & CALL_ENDS) && i + 1 < p->insn + p->n_insns)
                        n = go_on(w, n, i + 1);
                if (w->seen[site] == w->walk)
                        return false;
        }
        return waits_later;
}

/*
 * Marks in `later` what `main` may call when it has begun to wait for events. It runs once, and what it calls
 * outside of loops before a call that waits runs once as well. The same goes for a function that waits, when
 * nobody else refers to it: `spine`.
 */
static void mark_main(const Code *code, Arena *arena, const Function *main, const uint32_t *n_refs,
                      bool *later, bool *spine) {
        const bool *wait = functions_that_wait(code, arena);
        uint32_t *list = arena_newa(arena, uint32_t, code->n_functions + 1), n = 0;
        Walk w = { .code = code,
                   .calls = arena_newa(arena, uint8_t, code->n_insns + 1),
                   .seen = arena_newa(arena, uint32_t, code->n_insns + 1),
                   .stack = arena_newa(arena, uint32_t, code->n_insns + 1),
                   .cases = arena_newa(arena, uint32_t, code->n_insns + 1) };

        list[n++] = (uint32_t)(main - code->functions);
        spine[list[0]] = true;
        later[list[0]] = false; /* the entry point took its address */
        for (uint32_t at = 0; at < n; at++) {
                const Function *f = &code->functions[list[at]];

                read_cases(&w, f);
                for (uint32_t i = 0; i < f->n_refs; i++) {
                        const Ref *r = &code->refs[f->ref + i];
                        uint32_t g = takes_address(r) ? NO_FUNCTION : leads_to(r),
                                 insn = insn_at(code, f, r->insn);
                        Place p = r->lea ? (Place){ 0 } : place_of(code, r->target);

                        const Known *known = p.kind == PLACE_IMPORT ? known_find(p.name) : NULL;

                        if (insn == UINT32_MAX)
                                continue;
                        if (g != NO_FUNCTION ? wait[g] : p.kind == PLACE_IMPORT && waits_for_events(p.name))
                                w.calls[insn] |= CALL_WAITS;
                        if (known &&
                            (known->flags & KNOWN_NORETURN)) /* what is behind is not reached from here */
                                w.calls[insn] |= CALL_ENDS;
                }
                for (uint32_t i = 0; i < f->n_refs; i++) {
                        const Ref *r = &code->refs[f->ref + i];
                        uint32_t g = leads_to(r);

                        if (g == NO_FUNCTION || later[g] || spine[g])
                                continue;
                        if (wait[g] && n_refs[g] == 1)
                                spine[list[n++] = g] = true;
                        else if (wait[g] || !once_before_waiting(&w, f, r->insn))
                                later[g] = true;
                }
        }
}

/* An instruction that only loads a number to hand it on, as the line of a message. */
static bool loads_number(const Code *code, const Insn *insn) {
        const uint8_t *b = image_bytes(code->image, insn_addr(code, insn), insn->length);

        if (b && insn->length > 1 && (b[0] & 0xf0) == 0x40) /* REX */
                b++;
        return b && ((b[0] & 0xf8) == 0xb8 || b[0] == 0x68 || b[0] == 0x6a);
}

/* Whether more than numbers that are handed on has changed. */
static bool really_changed(const Diff *d, const Match *m) {
        const Function *f = match_old(d, m), *g = match_new(d, m);
        const CodePart *p = &d->old->parts[f->parts[0]], *q = &d->new->parts[g->parts[0]];

        if (f->n_insns != g->n_insns || p->n_insns != q->n_insns)
                return true;
        for (uint32_t i = 0; i < p->n_insns; i++) {
                const Insn *a = &d->old->insns[p->insn + i], *b = &d->new->insns[q->insn + i];

                if (a->norm != b->norm && !(loads_number(d->old, a) && loads_number(d->new, b)))
                        return true;
        }
        return false;
}

/* The variable of the image that a reference leads to; 0: none. */
static uint64_t variable_of(const Code *code, const Ref *r) {
        Place p = place_of(code, r->target);
        const ImageReloc *copy;

        if (p.kind == PLACE_POINTER)
                p = place_of(code, p.target);
        else
                p.target = r->target;
        copy = p.kind == PLACE_DATA ? image_reloc_at(code->image, r->target) : NULL;
        return p.kind != PLACE_DATA || (copy && copy->type == R_X86_64_COPY) ? 0 : r->target;
}

typedef struct Use {
        uint64_t variable;
        const Function *user;
} Use;

static int by_variable(const void *a, const void *b) {
        const Use *x = a, *y = b;

        return x->variable < y->variable ? -1 : x->variable > y->variable;
}

/* The variables that changed functions use which will run again, sorted. */
static Use *uses_of_changed(Diff *d, const bool *once, size_t *n) {
        size_t room = 0;
        Use *out;

        for (size_t k = 0; k < d->n_matches; k++)
                if (d->matches[k].kind == MATCH_CHANGED && !once[d->matches[k].old])
                        room += match_old(d, &d->matches[k])->n_refs;
        out = arena_newa(d->arena, Use, room + 1);
        *n = 0;
        for (size_t k = 0; k < d->n_matches; k++) {
                const Match *m = &d->matches[k];
                const Function *f = m->kind == MATCH_CHANGED && !once[m->old] ? match_old(d, m) : NULL;

                if (!f || !really_changed(d, m))
                        continue;
                for (uint32_t i = 0; i < f->n_refs; i++) {
                        uint64_t variable = variable_of(d->old, &d->old->refs[f->ref + i]);

                        if (variable)
                                out[(*n)++] = (Use){ variable, f };
                }
        }
        if (*n)
                qsort(out, *n, sizeof(*out), by_variable);
        return out;
}

/* Who uses a variable that `f`, which has run, writes; NULL: nobody. */
static const Function *user_of(const Code *code, const Function *f, const Use *uses, size_t n) {
        for (uint32_t i = 0; i < f->n_refs && n; i++) {
                const Ref *r = &code->refs[f->ref + i];
                const Use key = { variable_of(code, r), NULL },
                          *found = key.variable ? bsearch(&key, uses, n, sizeof(*uses), by_variable) : NULL;

                if (found && variable_use(code, r) != USE_READ)
                        return found->user;
        }
        return NULL;
}

/* Per old function: only main's start reaches it. NULL: none that has changed. */
static bool *before_waiting(Diff *d) {
        const Code *code = d->old;
        const Function *main = main_function(code);
        bool *later, *reached, *spine, more = true, any = false;
        uint32_t *n_refs;

        if (!main || d->n_changed == 0)
                return NULL;
        reached = arena_newa(d->arena, bool, code->n_functions + 1);
        later = arena_newa(d->arena, bool, code->n_functions + 1);
        spine = arena_newa(d->arena, bool, code->n_functions + 1);
        n_refs = arena_newa(d->arena, uint32_t, code->n_functions + 1);
        reached[main - code->functions] = true;
        mark_reached(code, reached);
        for (uint32_t i = 0; i < code->n_functions && !any; i++)
                any = reached[i] && d->matches[d->old_match[i]].kind == MATCH_CHANGED;
        if (!any)
                return NULL;
        mark_named(code, later);
        for (size_t i = 0; i < code->n_refs; i++) {
                uint32_t g = leads_to(&code->refs[i]);

                if (g != NO_FUNCTION)
                        n_refs[g]++;
                if (g != NO_FUNCTION && takes_address(&code->refs[i]))
                        later[g] = true;
        }
        mark_main(code, d->arena, main, n_refs, later, spine);
        while (more) {
                more = false;
                for (size_t i = 0; i < code->n_refs; i++) {
                        const Ref *r = &code->refs[i];
                        uint32_t g = leads_to(r);

                        if (g != NO_FUNCTION && !later[g] && !spine[g] &&
                            (later[r->function] || !reached[r->function]))
                                later[g] = more = true;
                }
        }
        for (uint32_t i = 0; i < code->n_functions; i++)
                reached[i] = reached[i] && !later[i] && !spine[i];
        return reached;
}

/* Tells of changed functions that run once, and refuses those whose work others use that have changed with
 * them. */
static void judge_once(Diff *d) {
        const Code *code = d->old;
        const bool *by_main = before_waiting(d), *by_library = functions_run_once(d);
        bool *once;
        size_t n_uses;
        Use *uses;

        if (!by_main && !by_library)
                return;
        once = arena_newa(d->arena, bool, code->n_functions + 1);
        for (uint32_t i = 0; i < code->n_functions; i++)
                once[i] = (by_main && by_main[i]) || (by_library && by_library[i]);
        d->once = once;
        uses = uses_of_changed(d, once, &n_uses);
        for (uint32_t i = 0; i < code->n_functions; i++) {
                const Match *m = &d->matches[d->old_match[i]];
                const Function *user;

                if (!once[i] || m->kind != MATCH_CHANGED)
                        continue;
                verdict_add(&d->verdict, REFUSAL_CODE_STARTUP_ONLY, code->functions[i].name, "%s",
                            by_main && by_main[i]
                                    ? "main runs it once, before it waits for events"
                                    : "it runs once at most, through pthread_once() or the like, or for a "
                                      "static local variable");
                user = really_changed(d, m) ? user_of(code, &code->functions[i], uses, n_uses) : NULL;
                if (user)
                        verdict_add(&d->verdict, REFUSAL_CODE_STARTUP_CHANGED, code->functions[i].name,
                                    "%s uses a variable that it has written", user->name);
        }
}

void judge_startup(Diff *d) {
        judge_constructors(d);
        judge_once(d);
}

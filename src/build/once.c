/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"
#include "build/values.h"

#include <Zydis/Zydis.h>
#include <string.h>

/*
 * Code that a library runs once at most: routines that are given to pthread_once() and its like, and what
 * makes the initial value of a static local variable in C++, between __cxa_guard_acquire() and
 * __cxa_guard_release().
 */

/* Each has the routine as its second argument. */
static bool runs_once(const char *name) {
        static const char *const names[] = { "pthread_once", "call_once", "g_once_impl", "uv_once",
                                             "CRYPTO_THREAD_run_once" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

static bool has_symbol(const Image *image, bool (*like)(const char *)) {
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (like(image->dynsyms[i].name))
                        return true;
        return false;
}

static bool calls_once(const Code *code, const Ref *r) {
        Place p = r->lea ? (Place){ .kind = PLACE_OTHER } : place_of(code, r->target);
        uint32_t f = r->begins;

        return p.kind == PLACE_IMPORT ? runs_once(p.name)
                                      : f != NO_FUNCTION && code->functions[f].exported &&
                                                runs_once(code->functions[f].name);
}

/* How many such calls of the function have that routine. */
static size_t calls_with(Values *w, const FnValues *f, uint32_t routine) {
        uint32_t root = values_function_root(w, SIDE_OLD, routine);
        size_t n = 0;

        for (size_t i = 0; i < f->n_calls; i++) {
                const CallSite *c = &f->calls[i];
                const Node *callee = c->callee >= ROOT_FIRST ? values_node(w, c->callee) : NULL;

                n += callee && callee->kind == NODE_FUNCTION && callee->name && runs_once(callee->name) &&
                     c->args[1].root == root && c->args[1].stride == 0 && c->args[1].off == 0;
        }
        return n;
}

/* Marks references that take the address of a function for nothing but such a call. */
static void mark_routines(const Diff *d, bool *once_refs) {
        const Code *code = d->old;
        Values *w = NULL;
        uint32_t done = NO_FUNCTION;

        for (size_t i = 0; i < code->n_refs; i++) {
                const Function *f = &code->functions[code->refs[i].function];
                const FnValues *v;

                if (code->refs[i].function == done || !calls_once(code, &code->refs[i]))
                        continue;
                done = code->refs[i].function;
                w = w ?: values_new(d);
                v = values_of(w, SIDE_OLD, done);
                for (uint32_t k = 0; k < f->n_refs && !v->incomplete; k++) {
                        const Ref *r = &code->refs[f->ref + k];
                        uint32_t routine = takes_address(r) ? r->begins : NO_FUNCTION;
                        size_t taken = 0;

                        for (uint32_t l = 0; routine != NO_FUNCTION && l < f->n_refs; l++)
                                taken += takes_address(&code->refs[f->ref + l]) &&
                                         code->refs[f->ref + l].target == r->target;
                        once_refs[f->ref + k] = routine != NO_FUNCTION && calls_with(w, v, routine) >= taken;
                }
        }
        values_free(w);
}

enum { CALL_ACQUIRES = 1, CALL_RELEASES = 2, RUN_ONCE = 4, RUN_OFTEN = 8 };

typedef struct Guards {
        const Code *code;
        uint8_t *marks;  /* by instruction */
        uint32_t *list;  /* of instructions to go on from */
        uint32_t *inner; /* where guards let code in */
        uint32_t n_inner;
} Guards;

static bool acquires(const char *name) {
        return strcmp(name, "__cxa_guard_acquire") == 0;
}

static Guards guards_new(const Code *code, Arena *arena) {
        return (Guards){ .code = code,
                         .marks = arena_newa(arena, uint8_t, code->n_insns + 1),
                         .list = arena_newa(arena, uint32_t, 2 * code->n_insns + 1),
                         .inner = arena_newa(arena, uint32_t, code->n_insns + 1) };
}

static uint32_t insn_in(const Code *code, uint32_t function, uint64_t addr) {
        const CodePart *p = code_part_at(code, addr);

        return p && p->function == function ? code_insn_at(code, p, addr) : UINT32_MAX;
}

/* The branch that asks what the call returned: where it goes on for zero, and where else. */
static bool asked(const Code *code, uint32_t function, uint32_t call, uint32_t next[2]) {
        const CodePart *p = code_part_at(code, insn_addr(code, &code->insns[call]));
        uint32_t end = MIN(call + 8, p->insn + p->n_insns - 1);
        bool tested = false;

        for (uint32_t i = call + 1; i < end; i++) {
                const Insn *insn = &code->insns[i];
                unsigned taken;
                Op op;

                if ((insn->flags & (INSN_CALL | INSN_END | INSN_INDIRECT)) ||
                    values_decode_one(code, insn_addr(code, insn), &op) < 0)
                        return false;
                if (op.kind != OP_JCC) {
                        tested |= (op.mnemonic == ZYDIS_MNEMONIC_TEST ||
                                   (op.mnemonic == ZYDIS_MNEMONIC_CMP && op.has_imm && op.imm == 0)) &&
                                  op.dst == 0 && !op.has_mem;
                        continue;
                }
                if (!tested || !(insn->flags & INSN_INTERNAL) ||
                    (op.mnemonic != ZYDIS_MNEMONIC_JZ && op.mnemonic != ZYDIS_MNEMONIC_JNZ))
                        return false;
                taken = op.mnemonic == ZYDIS_MNEMONIC_JNZ;
                next[taken] = insn_in(code, function, code_branch_target(code, insn));
                next[!taken] = i + 1;
                return next[taken] != UINT32_MAX;
        }
        return false;
}

/*
 * Marks what instruction `from` leads to: with RUN_OFTEN all but what a guard lets in (that is put into
 * `inner`), with RUN_ONCE all up to a call that releases. False: not known.
 */
static bool walk(Guards *g, uint32_t function, uint32_t from, uint8_t mark) {
        const Code *code = g->code;
        uint32_t n = 0;

        g->list[n++] = from;
        while (n > 0) {
                uint32_t i = g->list[--n], next[2] = { UINT32_MAX, UINT32_MAX };
                const Insn *insn = &code->insns[i];
                const CodePart *p = code_part_at(code, insn_addr(code, insn));

                if (g->marks[i] & mark)
                        continue;
                g->marks[i] |= mark;
                if (insn->flags & INSN_INDIRECT)
                        return false;
                if (mark == RUN_ONCE && (g->marks[i] & CALL_RELEASES))
                        continue;
                if (mark == RUN_OFTEN && (g->marks[i] & CALL_ACQUIRES)) {
                        if (!asked(code, function, i, next))
                                return false;
                        g->inner[g->n_inner++] = next[1];
                        next[1] = UINT32_MAX;
                } else {
                        if (insn->flags & INSN_INTERNAL)
                                next[0] = insn_in(code, function, code_branch_target(code, insn));
                        if (!(insn->flags & INSN_END) && i + 1 < p->insn + p->n_insns)
                                next[1] = i + 1;
                }
                for (unsigned k = 0; k < 2; k++)
                        if (next[k] != UINT32_MAX)
                                g->list[n++] = next[k];
        }
        return true;
}

/* Whether the function has guards, and it is known what they let in: instructions marked with RUN_ONCE alone.
 */
static bool mark_guarded(Guards *g, uint32_t function) {
        const Function *f = &g->code->functions[function];
        uint32_t first = insn_in(g->code, function, f->addr);
        bool any = false;

        for (uint32_t i = 0; i < f->n_refs; i++) {
                const Ref *r = &g->code->refs[f->ref + i];
                Place p = r->lea ? (Place){ .kind = PLACE_OTHER } : place_of(g->code, r->target);
                uint32_t insn = p.kind == PLACE_IMPORT ? insn_in(g->code, function, r->insn) : UINT32_MAX;

                if (insn == UINT32_MAX)
                        continue;
                if (acquires(p.name)) {
                        g->marks[insn] |= CALL_ACQUIRES;
                        any = true;
                } else if (strcmp(p.name, "__cxa_guard_release") == 0)
                        g->marks[insn] |= CALL_RELEASES;
        }
        g->n_inner = 0;
        if (!any || first == UINT32_MAX || !walk(g, function, first, RUN_OFTEN))
                return false;
        for (uint32_t i = 0; i < g->n_inner; i++)
                if (!walk(g, function, g->inner[i], RUN_ONCE))
                        return false;
        return true;
}

static bool let_in(const Guards *g, uint32_t insn) {
        return (g->marks[insn] & (RUN_ONCE | RUN_OFTEN)) == RUN_ONCE;
}

/* Tells of a function whose guards, and nothing else, let other code in. */
static void judge_guarded(Diff *d, const Match *m, const Guards *old, const Guards *new) {
        const Alignment *al = &d->alignments[m - d->matches];
        bool any = false;

        for (size_t i = 0; i < al->n; i++) {
                InsnPair p = al->pairs[i];
                bool has_old = p.old != UINT32_MAX, has_new = p.new != UINT32_MAX;

                if (has_old && has_new && d->old->insns[p.old].norm == d->new->insns[p.new].norm)
                        continue;
                if ((has_old && !let_in(old, p.old) && !(d->old->insns[p.old].flags & INSN_NOP)) ||
                    (has_new && !let_in(new, p.new) && !(d->new->insns[p.new].flags &INSN_NOP)))
                        return;
                any = true;
        }
        if (any)
                verdict_add(&d->verdict, REFUSAL_CODE_STARTUP_ONLY, match_old(d, m)->name,
                            "only what static local variables begin with has changed, and that is set once");
}

/* Marks calls that guards let in, and tells of changed functions where nothing else has changed. */
static void find_guarded(Diff *d, bool *once_refs) {
        Guards old = guards_new(d->old, d->arena), new = guards_new(d->new, d->arena);

        for (uint32_t i = 0; i < d->old->n_functions; i++) {
                const Function *f = &d->old->functions[i];
                const Match *m = &d->matches[d->old_match[i]];

                if (!mark_guarded(&old, i))
                        continue;
                for (uint32_t k = 0; k < f->n_refs; k++) {
                        const Ref *r = &d->old->refs[f->ref + k];
                        uint32_t insn = insn_in(d->old, i, r->insn);

                        if (insn != UINT32_MAX && !takes_address(r) && let_in(&old, insn))
                                once_refs[f->ref + k] = true;
                }
                if (m->kind == MATCH_CHANGED && mark_guarded(&new, m->new))
                        judge_guarded(d, m, &old, &new);
        }
}

bool *functions_run_once(Diff *d) {
        const Code *code = d->old;
        bool guarded = has_symbol(code->image, acquires), *once_refs, *reached, *later, more = true;

        if (d->n_changed == 0 || (!guarded && !has_symbol(code->image, runs_once)))
                return NULL;
        once_refs = arena_newa(d->arena, bool, code->n_refs + 1);
        reached = arena_newa(d->arena, bool, code->n_functions + 1);
        later = arena_newa(d->arena, bool, code->n_functions + 1);
        mark_routines(d, once_refs);
        if (guarded)
                find_guarded(d, once_refs);
        mark_named(code, later);
        while (more) {
                more = false;
                for (size_t i = 0; i < code->n_refs; i++) {
                        uint32_t from = code->refs[i].function, to = code->refs[i].begins;

                        if (to != NO_FUNCTION && to != from && !reached[to] &&
                            (once_refs[i] || reached[from]))
                                reached[to] = more = true;
                }
        }
        more = true;
        while (more) {
                more = false;
                for (size_t i = 0; i < code->n_refs; i++) {
                        uint32_t from = code->refs[i].function, to = code->refs[i].begins;

                        if (to == NO_FUNCTION || to == from || once_refs[i] || later[to] ||
                            (reached[from] && !later[from] && !takes_address(&code->refs[i])))
                                continue;
                        later[to] = more = true;
                }
        }
        for (uint32_t i = 0; i < code->n_functions; i++)
                reached[i] = reached[i] && !later[i];
        return reached;
}

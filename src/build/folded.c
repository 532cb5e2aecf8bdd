/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"

/*
 * Linkers fold functions of one content into one (--icf). Where they differ in the new build there are two,
 * and a pointer that the process holds to the one may mean either. So it is refused when code that took the
 * address of an old function takes that of an added one now which is much like it.
 */

enum { ALIKE = 75 /* percent */ };

static uint32_t entry_at(const Code *code, const Ref *r) {
        const CodePart *p = takes_address(r) ? code_part_start(code, r->target) : NULL;

        return p && code->functions[p->function].addr == r->target ? p->function : NO_FUNCTION;
}

static void judge_refs(Diff *d, const Ref *a, const Ref *b) {
        uint32_t old = entry_at(d->old, a), new = old == NO_FUNCTION ? NO_FUNCTION : entry_at(d->new, b);

        if (new == NO_FUNCTION || d->matches[d->new_match[new]].kind != MATCH_ADDED ||
            d->matches[d->old_match[old]].new == NO_FUNCTION || match_likeness(d, old, new) < ALIKE)
                return;
        verdict_add(&d->verdict, REFUSAL_CODE_MAP_CONFLICT, d->new->functions[new].name,
                    "it and %s were one function: a pointer that the process holds may mean either",
                    d->new->functions[d->matches[d->old_match[old]].new].name);
}

static const Ref *address_of_insn(const Code *code, const Function *f, const Insn *insn) {
        for (uint32_t i = 0; i < f->n_refs; i++)
                if (code->refs[f->ref + i].insn == insn_addr(code, insn))
                        return &code->refs[f->ref + i];
        return NULL;
}

static void judge_pair(Diff *d, uint32_t match) {
        const Function *f = match_old(d, &d->matches[match]), *g = match_new(d, &d->matches[match]);
        const Alignment *al = &d->alignments[match];

        if (f->norm == g->norm && f->n_refs == g->n_refs) {
                for (uint32_t i = 0; i < f->n_refs; i++)
                        judge_refs(d, &d->old->refs[f->ref + i], &d->new->refs[g->ref + i]);
                return;
        }
        for (size_t i = 0; i < al->n; i++) {
                const Ref *a, *b;

                if (al->pairs[i].old == UINT32_MAX || al->pairs[i].new == UINT32_MAX ||
                    !(d->new->insns[al->pairs[i].new].flags &INSN_REF))
                        continue;
                a = address_of_insn(d->old, f, &d->old->insns[al->pairs[i].old]);
                b = address_of_insn(d->new, g, &d->new->insns[al->pairs[i].new]);
                if (a && b && b->lea == a->lea)
                        judge_refs(d, a, b);
        }
}

void judge_folded(Diff *d) {
        if (d->n_added == 0)
                return;
        for (uint32_t i = 0; i < d->n_matches; i++)
                if (d->matches[i].kind == MATCH_CHANGED)
                        judge_pair(d, i);
}

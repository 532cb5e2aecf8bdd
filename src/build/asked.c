/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"
#include "build/values.h"

#include <string.h>

/*
 * dlsym() finds out by its return address which image asks, when it is to look behind that image
 * (RTLD_NEXT), or from that image on (RTLD_DEFAULT in a library). New code lies in no image that the loader
 * knows: the first fails, the second looks elsewhere. A function that jumps there hands on who called it.
 */

static bool asks(const FnValues *f, const CallSite *c, uint32_t symbol, uint32_t versioned) {
        return (c->callee == symbol || c->callee == versioned) && value_is_const(c->args[0]) &&
               (c->args[0].off == -1 || (c->args[0].off == 0 && !f->code->image->executable));
}

/* Functions that refer to the import, directly (`through` is NULL) or by way of one that is marked there. */
static void mark_users(const Code *code, const bool *through, bool *out) {
        for (size_t i = 0; i < code->n_refs; i++) {
                const Ref *r = &code->refs[i];
                const CodePart *p = through ? code_part_start(code, r->target) : NULL;
                Place place = { 0 };

                if (through) {
                        out[r->function] |= p && through[p->function];
                        continue;
                }
                place = place_of(code, r->target);
                out[r->function] |= place.kind == PLACE_IMPORT &&
                                    (strcmp(place.name, "dlsym") == 0 || strcmp(place.name, "dlvsym") == 0);
        }
}

static bool imports(const Image *image) {
        for (size_t i = 1; i < image->n_dynsyms; i++)
                if (!image->dynsyms[i].defined && (strcmp(image->dynsyms[i].name, "dlsym") == 0 ||
                                                   strcmp(image->dynsyms[i].name, "dlvsym") == 0))
                        return true;
        return false;
}

static bool is_carried(const Diff *d, uint32_t new) {
        MatchKind kind = d->matches[d->new_match[new]].kind;

        return kind == MATCH_CHANGED || kind == MATCH_CARRIED || kind == MATCH_ADDED;
}

/* What marked functions do: carried ones that ask are refused; those that hand on who asks go into `hands`.
 */
static bool look(Diff *d, Values *w, const bool *users, bool *hands, bool *said) {
        uint32_t symbol = values_symbol_root(w, "dlsym"), versioned = values_symbol_root(w, "dlvsym");
        bool more = false;

        for (uint32_t i = 0; i < d->new->n_functions; i++) {
                const FnValues *f = users[i] ? values_of(w, SIDE_NEW, i) : NULL;

                for (size_t k = 0; f && k < f->n_calls; k++) {
                        const CallSite *c = &f->calls[k];

                        if (!asks(f, c, symbol, versioned) && !(c->target != NO_TARGET && hands[c->target]))
                                continue;
                        if (c->tail && !hands[i])
                                hands[i] = more = true;
                        if (c->tail || !is_carried(d, i) || said[i])
                                continue;
                        said[i] = true;
                        verdict_add(&d->verdict, REFUSAL_CODE_CALLER_ASKED, d->new->functions[i].name,
                                    "it asks dlsym() for what comes behind its own image");
                }
        }
        return more;
}

void judge_asked(Diff *d) {
        bool *users, *hands, *said, more;
        Values *w;

        if (!imports(d->new_image))
                return;
        users = arena_newa(d->arena, bool, d->new->n_functions + 1);
        hands = arena_newa(d->arena, bool, d->new->n_functions + 1);
        said = arena_newa(d->arena, bool, d->new->n_functions + 1);
        w = values_new(d);
        mark_users(d->new, NULL, users);
        do {
                more = look(d, w, users, hands, said);
                mark_users(d->new, hands, users);
        } while (more);
        values_free(w);
}

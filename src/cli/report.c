/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"
#include "base/macro.h"

#include <string.h>

enum { SUBJECTS_SHOWN = 5 };

Colour report_colour(Outcome o) {
        return o == OUTCOME_HOTPATCH ? COLOUR_GOOD : o == OUTCOME_UNCHANGED ? COLOUR_NONE : COLOUR_BAD;
}

static void report_code(const Verdict *v, RefusalCode code, FILE *to) {
        const Refusal *r = refusal_get(code);
        Colour colour = r->kind == REFUSAL_ADVICE ? COLOUR_WARN : COLOUR_BAD;
        size_t n = 0;

        fprintf(to, "  %s%s%s: %s\n", colour_begin(to, colour), r->code, colour_end(to), r->title);
        for (size_t i = 0; i < v->n; i++) {
                const Finding *f = &v->findings[i];

                if (f->code != code || n++ >= SUBJECTS_SHOWN)
                        continue;
                fputs("      ", to);
                text_put(to, f->subject);
                if (*f->detail) {
                        fputs("  ", to);
                        fputs(colour_begin(to, COLOUR_DIM), to);
                        text_put(to, f->detail);
                        fputs(colour_end(to), to);
                }
                fputc('\n', to);
        }
        if (n > SUBJECTS_SHOWN)
                fprintf(to, "      and %zu%s more (--json shows them)\n", n - SUBJECTS_SHOWN,
                        n == VERDICT_MAX_PER_CODE ? " or" : "");
        text_wrap(to, r->why, 4);
}

void report_findings(const Verdict *v, FILE *to) {
        bool done[REFUSAL_N] = { false };

        /* Reasons first, advice after them. */
        for (int advice = 0; advice < 2; advice++)
                for (size_t i = 0; i < v->n; i++) {
                        RefusalCode code = v->findings[i].code;

                        if (done[code] || (refusal_get(code)->kind == REFUSAL_ADVICE) != advice)
                                continue;
                        done[code] = true;
                        report_code(v, code, to);
                }
        if (v->n)
                fputs("  `staunch explain CODE` says what to do.\n", to);
}

const char *report_reason(const Verdict *v, Arena *a) {
        bool named[REFUSAL_N] = { false };
        const Finding *first = NULL;
        const char *text, *others = "";
        size_t more = 0;

        for (size_t i = 0; i < v->n; i++) {
                const Finding *f = &v->findings[i];

                if (refusal_get(f->code)->kind == REFUSAL_ADVICE)
                        continue;
                if (!first)
                        first = f;
                else if (f->code == first->code)
                        more++;
                else if (!named[f->code])
                        others = arena_printf(a, "%s; %s", others, refusal_get(f->code)->code);
                named[f->code] = true;
        }
        if (!first)
                return "";
        text = arena_printf(a, "%s: %s", refusal_get(first->code)->code, first->subject);
        if (*first->detail)
                text = arena_printf(a, "%s (%s)", text, first->detail);
        if (more)
                text = arena_printf(a, "%s and %zu more", text, more);
        return arena_printf(a, "%s%s", text, others);
}

json_t *report_functions(const Comparison *c) {
        return json_pack("{s:I, s:I, s:I, s:I, s:I}", "identical", (json_int_t)c->identical, "changed",
                         (json_int_t)c->changed, "carried", (json_int_t)c->carried, "added",
                         (json_int_t)c->added, "removed", (json_int_t)c->removed);
}

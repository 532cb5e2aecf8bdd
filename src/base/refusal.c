/* SPDX-License-Identifier: Apache-2.0 */
#include "base/refusal.h"
#include "base/macro.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const Refusal refusals[REFUSAL_N] = {
#define REFUSAL(name, code, kind, title, why, remedy) { code, REFUSAL_##kind, title, why, remedy },
#include "base/refusal.def"
#undef REFUSAL
};

const Refusal *refusal_get(RefusalCode code) {
        return (size_t)code < REFUSAL_N ? &refusals[code] : NULL;
}

RefusalCode refusal_find(const char *code) {
        size_t i;

        for (i = 0; i < REFUSAL_N; i++)
                if (strcmp(refusals[i].code, code) == 0)
                        break;
        return (RefusalCode)i;
}

bool refusal_acceptable(RefusalCode code) {
        return refusals[code].kind == REFUSAL_UPDATE || code == REFUSAL_CODE_REVERT_UNPROVED;
}

const char *layout_grade_text(LayoutGrade g) {
        static const char *const text[] = { "unproved", "consistent", "proved" };

        return (size_t)g < ELEMENTSOF(text) ? text[g] : "unproved";
}

void verdict_init(Verdict *v, Arena *arena) {
        *v = (Verdict){ .arena = arena, .evidence = "" };
}

void verdict_add(Verdict *v, RefusalCode code, const char *subject, const char *format, ...) {
        char detail[400];
        size_t same = 0;
        va_list ap;

        va_start(ap, format);
        vsnprintf(detail, sizeof(detail), format, ap);
        va_end(ap);
        for (size_t i = 0; i < v->n; i++) {
                if (v->findings[i].code != code)
                        continue;
                if (strcmp(v->findings[i].subject, subject) == 0 &&
                    strcmp(v->findings[i].detail, detail) == 0)
                        return;
                same++;
        }
        if (same >= VERDICT_MAX_PER_CODE)
                return;
        if (v->n == v->room) {
                size_t room = v->room ? v->room * 2 : 16;
                Finding *f = arena_newa(v->arena, Finding, room);

                if (v->n)
                        memcpy(f, v->findings, v->n * sizeof(*f));
                v->findings = f;
                v->room = room;
        }
        v->findings[v->n++] =
                (Finding){ code, arena_strdup(v->arena, subject), arena_strdup(v->arena, detail) };
}

bool verdict_hotpatchable(const Verdict *v, const bool accepted[REFUSAL_N]) {
        for (size_t i = 0; i < v->n; i++) {
                RefusalCode c = v->findings[i].code;

                if (refusals[c].kind != REFUSAL_ADVICE && !(accepted && accepted[c]))
                        return false;
        }
        return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum RefusalKind { REFUSAL_UPDATE, REFUSAL_PROCESS, REFUSAL_ADVICE } RefusalKind;

typedef enum RefusalCode {
#define REFUSAL(name, code, kind, title, why, remedy) REFUSAL_CODE_##name,
#include "base/refusal.def"
#undef REFUSAL
        REFUSAL_N
} RefusalCode;

typedef struct Refusal {
        const char *code; /* "layout-changed": stable, for scripts */
        RefusalKind kind;
        const char *title, *why, *remedy;
} Refusal;

const Refusal *refusal_get(RefusalCode code);
/* Finds by "code" text; returns REFUSAL_N when there is none. */
RefusalCode refusal_find(const char *code);

/* May it be accepted: is it a reason against an update, or against taking its patch out? */
bool refusal_acceptable(RefusalCode code);

/* How sure the verdict is that no data layout changed. Ordered: worse to better. */
typedef enum LayoutGrade { GRADE_UNPROVED, GRADE_CONSISTENT, GRADE_PROVED } LayoutGrade;
const char *layout_grade_text(LayoutGrade g);

/* A verdict is data: findings with code, subject and detail. Owned by an arena. */
typedef struct Finding {
        RefusalCode code;
        const char *subject; /* a function, variable, type or symbol; never NULL */
        const char *detail;  /* one line; may be "" */
} Finding;

typedef struct Verdict {
        Arena *arena; /* not owned */
        Finding *findings;
        size_t n, room;
        LayoutGrade grade;
        const char *evidence; /* what the grade rests on; one line */
} Verdict;

void verdict_init(Verdict *v, Arena *arena);
/* Repeats are dropped; at most VERDICT_MAX_PER_CODE findings of one code are kept. */
enum { VERDICT_MAX_PER_CODE = 20 };
void verdict_add(Verdict *v, RefusalCode code, const char *subject, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* True when no finding other than ADVICE, and other than codes set in `accepted` (may be NULL;
 * indexed by RefusalCode), is there. */
bool verdict_hotpatchable(const Verdict *v, const bool accepted[REFUSAL_N]);

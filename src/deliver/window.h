/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/zone.h"

/*
 * Maintenance windows, in the words of Azure's maintenance configurations: a start, a duration, a time zone,
 * an expiration, and how often it recurs. Pure: what time it is comes from the caller, in seconds since 1970.
 */

typedef enum RecurEvery { RECUR_ONCE, RECUR_DAYS, RECUR_WEEKS, RECUR_MONTHS } RecurEvery;

typedef struct Recurrence {
        RecurEvery unit;
        int every;         /* so many of them; counted from the start's day, week (from Monday) or month */
        unsigned weekdays; /* weeks: bit 0 Monday; 0: the start's */
        uint32_t days;     /* months: bit n is day n, the last where the month is shorter; 0: the start's */
        int ordinal;       /* months: the 1st to 4th, or -1 the last, `weekday` of the month; 0: by days */
        int weekday;       /* 0 Monday */
        int offset;        /* with ordinal: so many days later, -6 to 6 */
} Recurrence;

enum { RECUR_MAX_EVERY = 365 };

/*
 * "Day", "3Days", "Week", "2Weeks Saturday,Sunday", "Month", "2Months", "Month day23,day24", "1Month Second
 * Tuesday", "Month Last Sunday Offset-3"; the case of letters does not matter. -EINVAL with what is wrong.
 */
int recurrence_parse(const char *text, Recurrence *out, Error *e);

typedef struct Window {
        const char *name;
        WallTime start;        /* of the zone's clocks; nothing is open before it */
        uint32_t duration_sec; /* from an occurrence's start, as time passes and not as clocks show it */
        const char *zone;
        WallTime expiration; /* of the zone's clocks; year 0: none */
        Recurrence recur;
        const char *recur_text; /* "": once */
        const char **units; /* patterns (glob) of what is restarted in it: units, "process COMM", "machine" */
        size_t n_units;     /* 0: all */
} Window;

enum { WINDOW_MIN_SEC = 600, WINDOW_MAX_SEC = 86400 };

/* One occurrence, from its first second to the one after its last. */
typedef struct WindowSpan {
        int64_t start, end;
} WindowSpan;

/* "2026-12-01 22:00" (or with "T"). -EINVAL. */
int wall_time_parse(const char *text, WallTime *out, Error *e);
/* The first occurrence that ends after `now`: it is open when it has begun. False: there will be none. */
bool window_next(const Window *w, int64_t now, WindowSpan *out);
static inline bool window_open(const WindowSpan *span, int64_t now) {
        return span->start <= now && now < span->end;
}
/* Is `subject` restarted in it? */
bool window_covers(const Window *w, const char *subject);

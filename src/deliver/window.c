/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/window.h"
#include "base/macro.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DAY_SEC = 86400 };

static const char *const weekday_names[] = { "Monday", "Tuesday",  "Wednesday", "Thursday",
                                             "Friday", "Saturday", "Sunday" };

/* Takes a number of at most `max` from the text; -1: there is none, -2: it is larger. */
static int take_number(const char **text, int max) {
        int v = 0;

        if (**text < '0' || **text > '9')
                return -1;
        for (; **text >= '0' && **text <= '9'; (*text)++) {
                v = v * 10 + (**text - '0');
                if (v > max)
                        return -2;
        }
        return v;
}

/* Takes the longest of the words that is there, as a whole; its index, or -1. */
static int take_word(const char **text, const char *const *words, size_t n) {
        size_t letters = strspn(*text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

        for (size_t i = 0; i < n; i++)
                if (strlen(words[i]) == letters && strncasecmp(words[i], *text, letters) == 0) {
                        *text += letters;
                        return (int)i;
                }
        return -1;
}

static bool take_space(const char **text) {
        size_t n = strspn(*text, " ");

        *text += n;
        return n > 0;
}

/* Between two items of a list: a comma, with spaces around it or not. */
static bool take_comma(const char **text) {
        const char *p = *text + strspn(*text, " ");

        if (*p != ',')
                return false;
        *text = p + 1 + strspn(p + 1, " ");
        return true;
}

static int parse_weekdays(const char **text, Recurrence *r, Error *e) {
        do {
                int day = take_word(text, weekday_names, ELEMENTSOF(weekday_names));

                if (day < 0)
                        return error_set(e, -EINVAL,
                                         "'%.20s' is not a day of the week; write \"Saturday,Sunday\"",
                                         *text);
                r->weekdays |= 1U << day;
        } while (take_comma(text));
        return 0;
}

static int parse_days(const char **text, Recurrence *r, Error *e) {
        do {
                int day;

                if (strncasecmp(*text, "day", 3) != 0)
                        return error_set(e, -EINVAL,
                                         "'%.20s' is not a day of the month; write \"day23,day24\"", *text);
                *text += 3;
                day = take_number(text, 31);
                if (day < 1)
                        return error_set(e, -EINVAL, "a day of the month is day1 to day31");
                r->days |= UINT32_C(1) << day;
        } while (take_comma(text));
        return 0;
}

static int parse_ordinal(const char **text, Recurrence *r, Error *e) {
        static const char *const ordinals[] = { "Last", "First", "Second", "Third", "Fourth" };
        static const char *const offset[] = { "Offset" };
        int nth = take_word(text, ordinals, ELEMENTSOF(ordinals)), sign = 1;

        if (nth < 0)
                return error_set(
                        e, -EINVAL,
                        "'%.20s' is neither days of the month (\"day23,day24\") nor First, Second, Third, "
                        "Fourth or Last",
                        *text);
        r->ordinal = nth ? nth : -1;
        take_space(text);
        r->weekday = take_word(text, weekday_names, ELEMENTSOF(weekday_names));
        if (r->weekday < 0)
                return error_set(e, -EINVAL, "'%.20s' is not a day of the week", *text);
        if (!take_space(text) || !**text)
                return 0;
        if (take_word(text, offset, 1) < 0)
                return error_set(e, -EINVAL, "'%.20s': only an offset may follow: \"Offset4\"", *text);
        if (**text == '-' || **text == '+')
                sign = *(*text)++ == '-' ? -1 : 1;
        r->offset = take_number(text, 6);
        if (r->offset < 0)
                return error_set(e, -EINVAL, "an offset is -6 to 6 days: \"Offset4\", \"Offset-3\"");
        r->offset *= sign;
        return 0;
}

int recurrence_parse(const char *text, Recurrence *out, Error *e) {
        static const char *const units[] = { "Day", "Days", "Week", "Weeks", "Month", "Months" };
        Recurrence r = { .every = 1 };
        const char *p = text;
        int unit, code = 0;

        take_space(&p);
        if (*p >= '0' && *p <= '9') {
                r.every = take_number(&p, RECUR_MAX_EVERY);
                if (r.every < 1)
                        return error_set(e, -EINVAL, "how often: 1 to %d", RECUR_MAX_EVERY);
                take_space(&p);
        }
        unit = take_word(&p, units, ELEMENTSOF(units));
        if (unit < 0)
                return error_set(e, -EINVAL,
                                 "write how often it recurs: \"Day\", \"2Weeks Saturday,Sunday\", \"Month "
                                 "day1,day15\" "
                                 "or \"1Month Second Tuesday Offset4\"");
        r.unit = (RecurEvery)(RECUR_DAYS + unit / 2);
        if (take_space(&p) && *p) {
                if (r.unit == RECUR_WEEKS)
                        code = parse_weekdays(&p, &r, e);
                else if (r.unit == RECUR_MONTHS)
                        code = strncasecmp(p, "day", 3) == 0 ? parse_days(&p, &r, e)
                                                             : parse_ordinal(&p, &r, e);
        }
        if (code < 0)
                return code;
        take_space(&p);
        if (*p)
                return error_set(e, -EINVAL, "'%.20s' is too much", p);
        *out = r;
        return 0;
}

int wall_time_parse(const char *text, WallTime *out, Error *e) {
        WallTime w = { 0 };
        char t;
        int n = 0;

        if (strspn(text, "0123456789-T: ") != strlen(text) ||
            sscanf(text, "%4d-%2d-%2d%c%2d:%2d%n", &w.year, &w.month, &w.day, &t, &w.hour, &w.minute, &n) !=
                    6 ||
            text[n] || n != 16 || (t != 'T' && t != ' ') || w.year < YEAR_MIN || w.year > YEAR_MAX ||
            w.month < 1 || w.month > 12 || w.day < 1 || w.day > month_days(w.year, w.month) || w.hour < 0 ||
            w.hour > 23 || w.minute < 0 || w.minute > 59)
                return error_set(e, -EINVAL, "not a date and time; write it like \"2026-12-01 22:00\"");
        *out = w;
        return 0;
}

static int64_t floor_div(int64_t a, int64_t b) {
        return a / b - (a % b < 0);
}

/* The first day from `from` on, at or after the start, on which it recurs in weeks. */
static int64_t next_in_weeks(const Recurrence *r, int64_t start, int64_t from) {
        unsigned weekdays = r->weekdays ? r->weekdays : 1U << date_weekday(start);
        int64_t first = start - date_weekday(start), week = floor_div(from - first, 7);

        week -= week % r->every; /* the last one in turn that is not after `from` */
        for (;; week += r->every)
                for (int i = 0; i < 7; i++)
                        if ((weekdays & 1U << i) && first + 7 * week + i >= from)
                                return first + 7 * week + i;
}

static int64_t nth_weekday(const Recurrence *r, int year, int month) {
        int64_t first = date_number(year, month, 1), last = first + month_days(year, month) - 1;

        if (r->ordinal < 0)
                return last - (date_weekday(last) - r->weekday + 7) % 7 + r->offset;
        return first + (r->weekday - date_weekday(first) + 7) % 7 + 7 * (r->ordinal - 1) + r->offset;
}

/* The first day of that month, from `from` on; -1: none. */
static int64_t in_month(const Recurrence *r, const WallTime *start, int year, int month, int64_t from) {
        uint32_t days = r->days ? r->days : UINT32_C(1) << start->day;
        int length = month_days(year, month);

        if (r->ordinal) {
                int64_t day = nth_weekday(r, year, month);

                return day >= from ? day : -1;
        }
        for (int i = 1; i <= 31; i++) {
                int64_t day = date_number(year, month, MIN(i, length));

                if ((days & UINT32_C(1) << i) && day >= from)
                        return day;
        }
        return -1;
}

static int64_t next_in_months(const Recurrence *r, const WallTime *start, int64_t from) {
        int64_t months, day;
        WallTime at;

        date_from_number(from, &at);
        /* An offset may lead out of the month: one before is looked at, too. */
        months = (int64_t)(at.year - start->year) * 12 + at.month - start->month - 1;
        for (months = floor_div(months, r->every) * r->every;; months += r->every) {
                int64_t count = (int64_t)start->year * 12 + start->month - 1 + months;

                if (count / 12 > YEAR_MAX)
                        return INT64_MAX;
                day = in_month(r, start, (int)(count / 12), (int)(count % 12) + 1, from);
                if (day >= 0)
                        return day;
        }
}

/* The first day of an occurrence from `from` on; INT64_MAX: none. */
static int64_t next_day(const Window *w, int64_t from) {
        int64_t start = date_number(w->start.year, w->start.month, w->start.day);

        from = MAX(from, start);
        switch (w->recur.unit) {
        case RECUR_DAYS:
                return from + (w->recur.every - (from - start) % w->recur.every) % w->recur.every;
        case RECUR_WEEKS:
                return next_in_weeks(&w->recur, start, from);
        case RECUR_MONTHS:
                return next_in_months(&w->recur, &w->start, from);
        default:
                return from == start ? start : INT64_MAX;
        }
}

bool window_next(const Window *w, int64_t now, WindowSpan *out) {
        int64_t expires = w->expiration.year ? zone_moment(w->zone, &w->expiration) : INT64_MAX;
        /* An occurrence that is open now began at most so long ago; zones are within a day of UTC. */
        int64_t day = next_day(w, floor_div(now - w->duration_sec, DAY_SEC) - 1);

        for (; day < date_number(YEAR_MAX + 1, 1, 1); day = next_day(w, day + 1)) {
                WallTime wall = w->start;
                WindowSpan span;

                date_from_number(day, &wall);
                span.start = zone_moment(w->zone, &wall);
                span.end = MIN(span.start + w->duration_sec, expires);
                if (span.start >= expires)
                        return false;
                if (span.end > now) {
                        *out = span;
                        return true;
                }
        }
        return false;
}

bool window_covers(const Window *w, const char *subject) {
        for (size_t i = 0; i < w->n_units; i++)
                if (fnmatch(w->units[i], subject, 0) == 0)
                        return true;
        return w->n_units == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "deliver/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void utc_text(int64_t moment, char out[40]) {
        WallTime w;

        zone_wall("UTC", moment, &w, NULL);
        snprintf(out, 40, "%04d-%02d-%02d %02d:%02d", w.year, w.month, w.day, w.hour, w.minute);
}

static WallTime wall(const char *text) {
        WallTime w;
        Error e = { 0 };

        if (wall_time_parse(text, &w, &e) < 0)
                fail_msg("%s: %s", text, e.text);
        return w;
}

static int64_t utc(const char *text) {
        WallTime w = wall(text);

        return zone_moment("UTC", &w);
}

/* The zone's clocks show `text` first at this moment of UTC. */
static void shows(const char *zone, const char *text, const char *expected) {
        WallTime w = wall(text);
        char have[40];

        utc_text(zone_moment(zone, &w), have);
        if (strcmp(have, expected) != 0)
                fail_msg("%s in %s is %s UTC, expected %s", text, zone, have, expected);
}

static void moments(void **state) {
        (void)state;
        shows("UTC", "2026-11-27 12:00", "2026-11-27 12:00");
        shows("Europe/Berlin", "2026-01-15 02:30", "2026-01-15 01:30");
        shows("Europe/Berlin", "2026-07-15 02:30", "2026-07-15 00:30");
        /* Put forward from 02:00 to 03:00: 02:30 is 30 minutes behind the gap's begin. */
        shows("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:30");
        shows("Europe/Berlin", "2026-03-29 01:59", "2026-03-29 00:59");
        shows("Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00");
        /* Put back from 03:00 to 02:00: 02:30 is twice, the first counts. */
        shows("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30");
        shows("Europe/Berlin", "2026-10-25 03:00", "2026-10-25 02:00");
        shows("America/New_York", "2026-03-08 02:15", "2026-03-08 07:15");
        shows("America/New_York", "2026-11-01 01:15", "2026-11-01 05:15");
        /* The southern half of the world, half hours, and a day that was left out. */
        shows("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:45");
        shows("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45");
        shows("Asia/Kathmandu", "2026-06-01 00:00", "2026-05-31 18:15");
        shows("Pacific/Apia", "2011-12-29 23:00", "2011-12-30 09:00");
        shows("Pacific/Apia", "2011-12-31 01:00", "2011-12-30 11:00");
        /* Rules go on for ever. */
        shows("Europe/Berlin", "2400-07-01 12:00", "2400-07-01 10:00");
        shows("America/New_York", "9999-01-01 00:00", "9999-01-01 05:00");
}

static void names(void **state) {
        (void)state;
        assert_int_equal(zone_check("", NULL), 0);
        assert_int_equal(zone_check("UTC", NULL), 0);
        assert_int_equal(zone_check("America/Argentina/Buenos_Aires", NULL), 0);
        assert_true(zone_check("Europe/Berlin ", NULL) < 0);
        assert_true(zone_check("Pacific Standard Time", NULL) < 0);
        assert_true(zone_check("Europe/Atlantis", NULL) < 0);
        assert_true(zone_check("Europe", NULL) < 0);
        assert_true(zone_check("tzdata.zi", NULL) < 0);
        assert_true(zone_check("/etc/localtime", NULL) < 0);
        assert_true(zone_check("../../../etc/passwd", NULL) < 0);
}

/* Whoever asks about a zone finds its own TZ as it was. */
static void zone_is_put_back(void **state) {
        struct tm tm;
        time_t t = 0;

        (void)state;
        setenv("TZ", "XXX-5", 1);
        shows("America/New_York", "2026-07-01 00:00", "2026-07-01 04:00");
        assert_string_equal(getenv("TZ"), "XXX-5");
        localtime_r(&t, &tm);
        assert_int_equal(tm.tm_hour, 5);
        shows("", "2026-07-01 06:00", "2026-07-01 01:00");
        unsetenv("TZ");
        shows("America/New_York", "2026-07-01 00:00", "2026-07-01 04:00");
        assert_null(getenv("TZ"));
}

static void dates(void **state) {
        WallTime w = { 0 };

        (void)state;
        assert_int_equal(date_number(1970, 1, 1), 0);
        assert_int_equal(date_number(2000, 2, 29), 11016);
        assert_int_equal(date_weekday(date_number(2026, 11, 27)), 4);
        assert_int_equal(month_days(2024, 2), 29);
        assert_int_equal(month_days(2100, 2), 28);
        assert_int_equal(month_days(2400, 2), 29);
        assert_int_equal(month_days(2026, 12), 31);
        for (int64_t n = -200000; n < 2932897; n += 3) { /* to the end of 9999 */
                date_from_number(n, &w);
                assert_int_equal(date_number(w.year, w.month, w.day), n);
                assert_in_range(w.day, 1, month_days(w.year, w.month));
        }
}

/* The occurrences from `from` on are those of `expected`, "DATE TIME" of UTC with ", " between. */
static void recurs(const char *recur, const char *zone, const char *start, const char *from,
                   const char *expected) {
        Window w = { .name = "w", .start = wall(start), .duration_sec = 3600, .zone = zone };
        char have[1024] = "", one[40];
        WindowSpan span;
        int64_t now = utc(from);
        Error e = { 0 };
        size_t n = 0;

        if (*recur && recurrence_parse(recur, &w.recur, &e) < 0)
                fail_msg("%s: %s", recur, e.text);
        while (n < strlen(expected) && window_next(&w, now, &span)) {
                utc_text(span.start, one);
                n += (size_t)snprintf(have + n, sizeof(have) - n, "%s%s", n ? ", " : "", one);
                now = span.end;
        }
        if (strcmp(have, expected) != 0)
                fail_msg("'%s' from %s: %s, expected %s", recur, from, have, expected);
}

static void recurrences(void **state) {
        (void)state;
        recurs("Day", "UTC", "2026-01-01 22:00", "2025-01-01 00:00", "2026-01-01 22:00, 2026-01-02 22:00");
        recurs("3Days", "UTC", "2026-01-01 22:00", "2026-02-27 00:00",
               "2026-02-27 22:00, 2026-03-02 22:00, 2026-03-05 22:00");
        recurs("Week", "UTC", "2026-01-01 22:00", "2026-01-02 00:00", "2026-01-08 22:00, 2026-01-15 22:00");
        /* 2026-01-01 is a Thursday: its week has a Saturday and a Sunday. */
        recurs("2Weeks Saturday,Sunday", "UTC", "2026-01-01 22:00", "2026-01-01 00:00",
               "2026-01-03 22:00, 2026-01-04 22:00, 2026-01-17 22:00, 2026-01-18 22:00");
        recurs("week monday", "UTC", "2026-01-01 22:00", "2026-01-01 00:00", "2026-01-05 22:00");
        recurs("Month", "UTC", "2026-01-31 22:00", "2026-01-01 00:00",
               "2026-01-31 22:00, 2026-02-28 22:00, 2026-03-31 22:00, 2026-04-30 22:00");
        recurs("12Months", "UTC", "2024-02-29 22:00", "2024-01-01 00:00",
               "2024-02-29 22:00, 2025-02-28 22:00, 2026-02-28 22:00, 2027-02-28 22:00, 2028-02-29 22:00");
        recurs("2Months", "UTC", "2026-11-10 01:00", "2026-11-11 00:00",
               "2027-01-10 01:00, 2027-03-10 01:00");
        recurs("Month day23,day24", "UTC", "2026-01-24 01:00", "2026-01-01 00:00",
               "2026-01-24 01:00, 2026-02-23 01:00, 2026-02-24 01:00");
        recurs("Month day30, day31", "UTC", "2026-02-01 01:00", "2026-02-01 00:00",
               "2026-02-28 01:00, 2026-03-30 01:00, 2026-03-31 01:00, 2026-04-30 01:00");
        /* Patch Tuesday, and the Saturday after it. */
        recurs("1Month Second Tuesday", "UTC", "2026-11-01 22:00", "2026-11-01 00:00",
               "2026-11-10 22:00, 2026-12-08 22:00, 2027-01-12 22:00");
        recurs("1Month Second Tuesday Offset4", "UTC", "2026-11-01 22:00", "2026-11-01 00:00",
               "2026-11-14 22:00, 2026-12-12 22:00");
        recurs("3Months First Monday", "UTC", "2026-01-01 22:00", "2026-01-06 00:00",
               "2026-04-06 22:00, 2026-07-06 22:00");
        recurs("Month Last Sunday", "UTC", "2026-01-01 22:00", "2026-01-01 00:00",
               "2026-01-25 22:00, 2026-02-22 22:00, 2026-03-29 22:00");
        recurs("Month Last Sunday Offset-3", "UTC", "2026-01-01 22:00", "2026-01-01 00:00",
               "2026-01-22 22:00, 2026-02-19 22:00");
        /* Offsets that lead into the next month and the one before. */
        recurs("Month Last Monday Offset6", "UTC", "2026-12-02 22:00", "2026-12-01 00:00",
               "2026-12-06 22:00, 2027-01-03 22:00, 2027-01-31 22:00, 2027-02-28 22:00");
        recurs("Month First Friday Offset-6", "UTC", "2026-01-01 22:00", "2026-01-01 00:00",
               "2026-01-31 22:00, 2026-02-28 22:00, 2026-03-28 22:00");
        recurs("", "UTC", "2026-01-01 22:00", "2026-01-01 00:00", "2026-01-01 22:00");
        recurs("", "UTC", "2026-01-01 22:00", "2026-01-01 23:00", "");
        recurs("Month Fourth Thursday", "UTC", "2026-01-01 22:00", "9999-11-20 00:00",
               "9999-11-25 22:00, 9999-12-23 22:00");
        recurs("Day", "UTC", "2026-01-01 22:00", "9999-12-31 23:30", "");
}

/* The hour that is on the zone's clocks stays, while that of UTC moves. */
static void recurrences_over_changes_of_the_clock(void **state) {
        (void)state;
        recurs("Day", "Europe/Berlin", "2026-01-01 02:30", "2026-03-28 00:00",
               "2026-03-28 01:30, 2026-03-29 01:30, 2026-03-30 00:30");
        recurs("Day", "Europe/Berlin", "2026-01-01 02:30", "2026-10-23 23:00",
               "2026-10-24 00:30, 2026-10-25 00:30, 2026-10-26 01:30");
        recurs("Week", "America/New_York", "2026-10-25 22:00", "2026-10-01 00:00",
               "2026-10-26 02:00, 2026-11-02 03:00");
        recurs("Month First Sunday", "Australia/Sydney", "2026-01-01 03:00", "2026-03-20 00:00",
               "2026-04-04 17:00, 2026-05-02 17:00");
        recurs("Day", "Pacific/Kiritimati", "2026-01-01 00:30", "2026-01-01 00:00", "2026-01-01 10:30");
        recurs("Month Last Sunday", "Europe/Berlin", "2026-01-01 02:30", "2399-03-01 00:00",
               "2399-03-28 01:30");
}

static void open_now(void **state) {
        Window w = {
                .name = "w", .start = wall("2026-01-01 23:00"), .duration_sec = 4 * 3600, .zone = "UTC"
        };
        WindowSpan span;

        (void)state;
        recurrence_parse("Day", &w.recur, NULL);
        /* It goes on over midnight. */
        assert_true(window_next(&w, utc("2026-05-05 02:59"), &span));
        assert_true(window_open(&span, utc("2026-05-05 02:59")));
        assert_int_equal(span.start, utc("2026-05-04 23:00"));
        assert_true(window_next(&w, utc("2026-05-05 03:00"), &span));
        assert_false(window_open(&span, utc("2026-05-05 03:00")));
        assert_int_equal(span.start, utc("2026-05-05 23:00"));
        assert_true(window_open(&span, span.start));
        assert_false(window_open(&span, span.end));
        /* Its length is that which passes, also over a change of the clocks. */
        w.zone = "Europe/Berlin";
        assert_true(window_next(&w, utc("2026-03-28 23:00"), &span));
        assert_int_equal(span.end, utc("2026-03-29 02:00"));
        /* Nothing begins after the expiration, and what is open ends at it. */
        w.zone = "UTC";
        w.expiration = wall("2026-05-05 01:00");
        assert_true(window_next(&w, utc("2026-05-05 00:59"), &span));
        assert_int_equal(span.end, utc("2026-05-05 01:00"));
        assert_false(window_next(&w, utc("2026-05-05 01:00"), &span));
}

static void covers(void **state) {
        const char *units[] = { "web@*.service", "machine" };
        Window w = { .units = units, .n_units = 2 };

        (void)state;
        assert_true(window_covers(&w, "web@1.service"));
        assert_true(window_covers(&w, "machine"));
        assert_false(window_covers(&w, "db.service"));
        w.n_units = 0;
        assert_true(window_covers(&w, "db.service"));
}

static void mistakes(void **state) {
        static const struct {
                const char *text, *part;
        } bad[] = {
                { "", "how often" },
                { "Fortnight", "how often" },
                { "0Days", "how often: 1 to 365" },
                { "366Days", "1 to 365" },
                { "99999999999999999999Days", "1 to 365" },
                { "Day Monday", "'Monday' is too much" },
                { "Week Satturday", "'Satturday' is not a day of the week" },
                { "Week Saturday,", "not a day of the week" },
                { "Week Saturday Sunday", "'Sunday' is too much" },
                { "Month day0", "day1 to day31" },
                { "Month day32", "day1 to day31" },
                { "Month day1,2", "not a day of the month" },
                { "Month Fifth Sunday", "neither" },
                { "Month Second", "not a day of the week" },
                { "Month Second Tuesday Offset7", "-6 to 6" },
                { "Month Second Tuesday Offset", "-6 to 6" },
                { "Month Second Tuesday Offset--1", "-6 to 6" },
                { "Month Second Tuesday later", "only an offset" },
                { "Month Second Tuesday Offset1 x", "'x' is too much" },
        };
        static const char *const times[] = { "",
                                             "2026-01-01",
                                             "2026-13-01 00:00",
                                             "2026-02-29 00:00",
                                             "2026-01-01 24:00",
                                             "2026-01-01 00:60",
                                             "2026-01-01 00:00:00",
                                             "2026-1-1 0:00",
                                             "1969-12-31 00:00",
                                             "2026-01-01-00:00",
                                             "-026-01-01 00:00" };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                Recurrence r;
                Error e = { 0 };

                if (recurrence_parse(bad[i].text, &r, &e) == 0)
                        fail_msg("accepted: '%s'", bad[i].text);
                if (!strstr(e.text, bad[i].part))
                        fail_msg("'%s': '%s' is not in '%s'", bad[i].text, bad[i].part, e.text);
        }
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                WallTime w;

                if (wall_time_parse(times[i], &w, NULL) == 0)
                        fail_msg("accepted: '%s'", times[i]);
        }
        assert_int_equal(wall_time_parse("2026-02-28T23:59", &(WallTime){ 0 }, NULL), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(dates),       cmocka_unit_test(names),
                cmocka_unit_test(moments),     cmocka_unit_test(zone_is_put_back),
                cmocka_unit_test(recurrences), cmocka_unit_test(recurrences_over_changes_of_the_clock),
                cmocka_unit_test(open_now),    cmocka_unit_test(covers),
                cmocka_unit_test(mistakes),
        };

        if (access(ZONE_DIR "/Europe/Berlin", R_OK) < 0) {
                puts(ZONE_DIR " is not there: install tzdata");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/zone.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DAY_SEC = 86400, MAX_NAME = 64 };

int64_t date_number(int year, int month, int day) {
        int64_t y = (int64_t)year - (month <= 2);
        int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
        int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void date_from_number(int64_t number, WallTime *out) {
        int64_t z = number + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
        int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

        out->day = (int)(of_year - (153 * month + 2) / 5 + 1);
        out->month = (int)(month < 10 ? month + 3 : month - 9);
        out->year = (int)(year + era * 400 + (out->month <= 2));
}

int date_weekday(int64_t number) {
        return (int)(((number + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

int month_days(int year, int month) {
        return (int)(date_number(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) -
                     date_number(year, month, 1));
}

/* The environment's TZ as it was, and how to put it back. */
typedef struct Saved {
        char *tz;
} Saved;

static void put_back(Saved *s) {
        if (s->tz)
                setenv("TZ", s->tz, 1);
        else
                unsetenv("TZ");
        free(s->tz);
        tzset();
}

static Saved enter(const char *zone) {
        const char *tz = getenv("TZ");
        Saved s = { tz ? strdup(tz) : NULL };
        char value[sizeof(ZONE_DIR) + MAX_NAME + 2];

        if (strcmp(zone, "UTC") == 0)
                snprintf(value, sizeof(value), "UTC0");
        else
                snprintf(value, sizeof(value), ":" ZONE_DIR "/%s", zone);
        if (*zone)
                setenv("TZ", value, 1);
        tzset();
        return s;
}

int zone_check(const char *zone, Error *e) {
        char path[sizeof(ZONE_DIR) + MAX_NAME + 2], magic[4];
        _cleanup_(closep) int fd = -1;

        if (!*zone || strcmp(zone, "UTC") == 0)
                return 0;
        if (strlen(zone) > MAX_NAME || zone[0] == '/' || strstr(zone, "..") ||
            zone[strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/")])
                return error_set(e, -EINVAL, "not the name of a time zone; write it like \"Europe/Berlin\"");
        snprintf(path, sizeof(path), ZONE_DIR "/%s", zone);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, magic, sizeof(magic)) != sizeof(magic) || memcmp(magic, "TZif", 4) != 0)
                return error_set(e, -ENOENT,
                                 "no such time zone below " ZONE_DIR
                                 "; write it like \"Europe/Berlin\" ('timedatectl list-timezones')");
        return 0;
}

static int64_t wall_number(const WallTime *w) {
        return date_number(w->year, w->month, w->day) * DAY_SEC + w->hour * 3600 + w->minute * 60 + w->second;
}

/* In the zone that was entered. */
static int offset_at(int64_t moment) {
        time_t t = (time_t)moment;
        struct tm tm = { 0 };

        localtime_r(&t, &tm);
        return (int)tm.tm_gmtoff;
}

int64_t zone_moment(const char *zone, const WallTime *wall) {
        _cleanup_(put_back) _unused_ Saved s = enter(zone);
        int64_t number = wall_number(wall);
        /* No zone is more than a day from UTC, and none changes twice in two days. */
        int before = offset_at(number - DAY_SEC), after = offset_at(number + DAY_SEC);

        /* Before the change the clocks showed it; or neither before nor after it. */
        if (offset_at(number - before) == before || offset_at(number - after) != after)
                return number - before;
        return number - after;
}

void zone_wall(const char *zone, int64_t moment, WallTime *out, int *offset_sec) {
        _cleanup_(put_back) _unused_ Saved s = enter(zone);
        int offset = offset_at(moment);
        int64_t number = moment + offset, day = number / DAY_SEC - (number % DAY_SEC < 0);
        int rest = (int)(number - day * DAY_SEC);

        date_from_number(day, out);
        out->hour = rest / 3600;
        out->minute = rest / 60 % 60;
        out->second = rest % 60;
        if (offset_sec)
                *offset_sec = offset;
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Dates of the proleptic Gregorian calendar, and what a time zone's clocks show. Zones are those of the IANA
 * database (ZONE_DIR), read by the C library; "" is the machine's own, "UTC" needs no database.
 *
 * The C library knows one zone at a time, the environment's TZ. It is changed for the length of a call here
 * and put back: not for programs with threads.
 */
#define ZONE_DIR "/usr/share/zoneinfo"

typedef struct WallTime {
        int year, month, day, hour, minute, second; /* month and day from 1 */
} WallTime;

enum { YEAR_MIN = 1970, YEAR_MAX = 9999 };

/* Days since 1970-01-01; the date need not be one of the calendar (day 32 is the first of the next month). */
int64_t date_number(int year, int month, int day);
/* Sets year, month and day. */
void date_from_number(int64_t number, WallTime *out);
/* 0 Monday to 6 Sunday. */
int date_weekday(int64_t number);
int month_days(int year, int month);

/* -EINVAL: not a zone's name; -ENOENT: the database has none of that name. */
int zone_check(const char *zone, Error *e);
/*
 * Seconds since 1970 of the moment at which the zone's clocks show this. Where they are put back and show it
 * twice, the first; where they are put forward and never show it, as many seconds after the gap's begin as
 * the time is. (RFC 5545, 3.3.5, says the same of both.)
 */
int64_t zone_moment(const char *zone, const WallTime *wall);
/* What the zone's clocks show at that moment. `offset_sec` (may be NULL): ahead of UTC. */
void zone_wall(const char *zone, int64_t moment, WallTime *out, int *offset_sec);

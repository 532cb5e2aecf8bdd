/* SPDX-License-Identifier: Apache-2.0 */
#include "report/line.h"

#include <stdio.h>
#include <syslog.h>
#include <time.h>

/* "2026-01-31T03:00:00.000000Z"; 0 for anything else. */
static uint64_t parse_time(const char *text) {
        struct tm tm = { 0 };
        unsigned usec = 0;
        int end = 0;

        if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                   &tm.tm_min, &tm.tm_sec, &usec, &end) != 7 ||
            !end || text[end] || tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
            tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 ||
            tm.tm_sec < 0 || tm.tm_sec > 60 || usec > 999999)
                return 0;
        tm.tm_year -= 1900;
        tm.tm_mon--;
        return (uint64_t)timegm(&tm) * 1000000 + usec;
}

static const char *text_of(const json_t *j, const char *key) {
        const char *s = json_string_value(json_object_get(j, key));

        return s ? s : "";
}

bool event_line_read(const char *line, EventLine *out) {
        json_t *j = json_loads(line, 0, NULL);
        json_int_t number = json_integer_value(json_object_get(j, "id")),
                   priority = json_integer_value(json_object_get(j, "priority"));

        if (!json_is_object(j) || number < 0 || number > 65535 || priority < LOG_EMERG ||
            priority > LOG_DEBUG) {
                json_decref(j);
                return false;
        }
        *out = (EventLine){
                .json = j,
                .time_usec = parse_time(text_of(j, "time")),
                .priority = (int)priority,
                .number = (unsigned)number,
                .kind = text_of(j, "kind"),
                .message = text_of(j, "message"),
                .unit = text_of(json_object_get(j, "fields"), "STAUNCH_UNIT"),
        };
        return true;
}

void event_line_release(EventLine *l) {
        json_decref(l->json);
        *l = (EventLine){ 0 };
}

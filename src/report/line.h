/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "report/event.h"

#include <jansson.h>
#include <stdbool.h>

/* An event as it is read back: one line of the events' file. Strings belong to `json`. */
typedef struct EventLine {
        json_t *json;
        uint64_t time_usec; /* CLOCK_REALTIME; 0: the line does not say */
        int priority;       /* syslog level */
        unsigned number;
        const char *kind, *message, *unit; /* "": none */
} EventLine;

/* False for a line that is none of ours (a full disk cut it short). Released with event_line_release. */
bool event_line_read(const char *line, EventLine *out);
void event_line_release(EventLine *l);

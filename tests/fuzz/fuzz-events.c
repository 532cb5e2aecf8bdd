/* SPDX-License-Identifier: Apache-2.0 */
/* A line of the events' file, and an event made of what it said, which must be read back as it was. */
#include "report/line.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_back(const EventLine *l, EventKind kind) {
        const EventField fields[] = { { "STAUNCH_UNIT", l->unit } };
        char *text = event_json(&(Event){ kind, l->time_usec, l->message, fields, 1 });
        EventLine again;

        if (!text || !event_line_read(text, &again))
                __builtin_trap();
        if (again.number != event_type(kind)->number || strcmp(again.message, l->message) != 0 ||
            strcmp(again.unit, l->unit) != 0 || (l->time_usec && again.time_usec != l->time_usec))
                __builtin_trap();
        event_line_release(&again);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        char *text = malloc(size + 1);
        EventLine l;

        if (!text)
                return 0;
        memcpy(text, bytes, size);
        text[size] = 0;
        if (event_line_read(text, &l)) {
                EventKind kind = event_find(l.kind);

                read_back(&l, kind == EVENT_N ? EVENT_PATCH_INSTALLED : kind);
                event_line_release(&l);
        }
        free(text);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy says of a window: a first line with a recurrence, a second with the start. */
#include "deliver/window.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1), *line;
        Window w = { .duration_sec = WINDOW_MIN_SEC, .zone = "UTC" };
        WindowSpan before = { INT64_MIN, INT64_MIN }, span;
        Error e;

        if (!text)
                abort();
        memcpy(text, data, size);
        text[size] = 0;
        line = strchr(text, '\n');
        if (line)
                *line++ = 0;
        if (!line || wall_time_parse(line, &w.start, &e) < 0)
                w.start = (WallTime){ 2026, 1, 31, 22, 0, 0 };
        if (recurrence_parse(text, &w.recur, &e) == 0) {
                if (w.recur.every < 1 || w.recur.every > RECUR_MAX_EVERY)
                        abort();
                /* Occurrences have their length, come one after another, and the first not before the start.
                 */
                for (int i = 0; i < 20 && window_next(&w, i ? before.end : 0, &span); i++) {
                        if (span.end - span.start != WINDOW_MIN_SEC || span.start < before.end ||
                            span.start < zone_moment("UTC", &w.start))
                                abort();
                        before = span;
                }
        }
        free(text);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tells the agent: its lines about crashes, and messages of the process events connector. */
#include "agent/crash.h"
#include "agent/watch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void event(void *data, const WatchEvent *w) {
        if (w->signal < 0 || w->signal > 127 || (w->kind != WATCH_EXEC && w->kind != WATCH_EXIT))
                __builtin_trap();
        ++*(size_t *)data;
}

static void line(const char *text) {
        const ProcessPatch patch = { .state = PATCH_STATE_ACTIVE, .low = 0x1000, .high = 0x2000 };
        CrashBook *book = crash_book_new();
        const ProcessPatch *named;
        uint64_t ip = 0;
        CrashPlace place;
        pid_t pid = 0;

        if (!book)
                return;
        if (crash_parse_line(text, &pid, &ip)) {
                if (pid <= 0)
                        __builtin_trap();
                crash_note(book, &(Process){ .pid = pid }, (Witness){ .trusted = true }, &patch, 1);
                crash_saw(book, pid, ip);
                place = crash_place(book, pid, &named);
                if (!named || (place == CRASH_INSIDE) != (ip >= patch.low && ip < patch.high))
                        __builtin_trap();
                crash_forget(book, pid);
                if (crash_place(book, pid, &named) != CRASH_UNKNOWN || named)
                        __builtin_trap();
        }
        crash_book_free(book);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        char *text = malloc(size + 1);
        size_t events = 0;

        if (!text)
                return 0;
        if (watch_parse(bytes, size, event, &events) != events)
                __builtin_trap();
        memcpy(text, bytes, size);
        text[size] = 0;
        line(text);
        free(text);
        return 0;
}

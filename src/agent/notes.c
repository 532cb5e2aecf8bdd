/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/notes.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/outdated.h"

#include <unistd.h>

typedef struct Note {
        Process process;
        Witness witness;
        ProcessPatch patch;
} Note;

void notes_write(int fd, const Process *p, const ProcessPatch *patches, size_t n) {
        Witness w = witness_of(p->pid, p->unit);

        for (size_t i = 0; i < n; i++) {
                Note note = { *p, w, patches[i] };

                if (write(fd, &note, sizeof(note)) != sizeof(note))
                        return; /* what is not told now is told after the next round */
        }
}

void notes_take(int fd, const pid_t *pids, size_t n, const char *root,
                bool (*enter)(void *data, const Process *p), void *data) {
        ProcessList some = { 0 };

        if (process_select(pids, n, &some, NULL) < 0)
                return;
        for (size_t i = 0; i < some.n; i++) {
                _cleanup_(freep) ProcessPatch *have = NULL;
                const Process *p = &some.items[i];
                size_t patches = 0;

                if (process_exists(p) && enter(data, p) &&
                    outdated_status(p->pid, root, &have, &patches, NULL) == 0)
                        notes_write(fd, p, have, patches);
        }
        enter(data, NULL);
        process_list_free(&some);
}

void notes_each(int fd,
                void (*each)(void *data, const Process *p, Witness w, const ProcessPatch *patches, size_t n),
                void *data) {
        VEC(ProcessPatch) patches = { 0 };
        Note note, next;
        off_t at = 0;
        bool more = pread(fd, &note, sizeof(note), at) == sizeof(note);

        while (more) {
                patches.n = 0;
                for (next = note; more && next.process.pid == note.process.pid;) {
                        vec_push(&patches, next.patch);
                        at += sizeof(next);
                        more = pread(fd, &next, sizeof(next), at) == sizeof(next);
                }
                each(data, &note.process, note.witness, patches.items, patches.n);
                note = next;
        }
        vec_free(&patches);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crash.h"
#include "base/macro.h"
#include "base/vec.h"
#include "patch/digest.h"
#include "patch/patch.h"

#include <stdio.h>
#include <string.h>

typedef struct Noted {
        Process process;
        Witness witness;
        ProcessPatch patch;
} Noted;

typedef struct Tally { /* of crashes */
        unsigned n;
        uint32_t first; /* user */
        bool several;   /* users */
        bool inside;    /* one at least */
} Tally;

typedef struct Suspect {
        uint8_t digest[DIGEST_SIZE];
        Tally trusted, others;
} Suspect;

typedef struct Seen {
        pid_t pid; /* 0: none */
        uint64_t ip;
} Seen;

enum {
        SEEN = 64,
        UNKNOWN_MIN = 3, /* crashes without a known place that convict a patch */
};

struct CrashBook {
        Seen seen[SEEN];
        size_t n_seen; /* so many were */
        VEC(Noted) noted;
        VEC(Suspect) suspects;
};

CrashBook *crash_book_new(void) {
        return calloc(1, sizeof(CrashBook));
}

CrashBook *crash_book_free(CrashBook *b) {
        if (b) {
                vec_free(&b->noted);
                vec_free(&b->suspects);
        }
        free(b);
        return NULL;
}

void crash_forget(CrashBook *b, pid_t pid) {
        size_t kept = 0;

        for (size_t i = 0; i < b->noted.n; i++)
                if (b->noted.items[i].process.pid != pid)
                        b->noted.items[kept++] = b->noted.items[i];
        b->noted.n = kept;
        for (size_t i = 0; i < SEEN; i++) /* the id may be another's next */
                if (b->seen[i].pid == pid)
                        b->seen[i].pid = 0;
}

void crash_note(CrashBook *b, const Process *process, Witness witness, const ProcessPatch *patches,
                size_t n) {
        crash_forget(b, process->pid);
        for (size_t i = 0; i < n; i++)
                if (patches[i].state == PATCH_STATE_ACTIVE)
                        vec_push(&b->noted, (Noted){ *process, witness, patches[i] });
}

const Process *crash_process(const CrashBook *b, pid_t pid) {
        for (size_t i = 0; i < b->noted.n; i++)
                if (b->noted.items[i].process.pid == pid)
                        return &b->noted.items[i].process;
        return NULL;
}

pid_t crash_noted(const CrashBook *b, size_t i) {
        for (size_t k = 0; k < b->noted.n; k++)
                if ((k == 0 || b->noted.items[k].process.pid != b->noted.items[k - 1].process.pid) &&
                    i-- == 0)
                        return b->noted.items[k].process.pid;
        return 0;
}

bool crash_parse_line(const char *line, pid_t *pid, uint64_t *ip) {
        static const char *const words[] = { "]: segfault at ", "] general protection fault ip:", "] trap " };
        const char *open = NULL, *at = NULL;
        unsigned long address;
        int id, end = 0;

        /* The name before the bracket is the program's own, and may look like the rest: the last of the words
         * count, and the last "[digits]" before them. */
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                for (const char *p = line; (p = strstr(p, words[i])); p++)
                        at = p > at ? p : at;
        if (!at)
                return false;
        for (const char *p = line; p < at; p++)
                if (*p == '[')
                        open = p;
        if (!open || sscanf(open, "[%d%n", &id, &end) != 1 || open + end != at || id <= 0)
                return false;
        at = strstr(at, " ip");
        if (!at || (at[3] != ':' && at[3] != ' ') || sscanf(at + 4, "%lx", &address) != 1)
                return false;
        *pid = id;
        *ip = address;
        return true;
}

void crash_saw(CrashBook *b, pid_t pid, uint64_t ip) {
        b->seen[b->n_seen++ % SEEN] = (Seen){ pid, ip };
}

static const ProcessPatch *patch_at(const CrashBook *b, pid_t pid, uint64_t ip) {
        for (size_t i = 0; i < b->noted.n; i++) {
                const ProcessPatch *p = &b->noted.items[i].patch;

                if (b->noted.items[i].process.pid == pid && ip >= p->low && ip < p->high)
                        return p;
        }
        return NULL;
}

CrashPlace crash_place(const CrashBook *b, pid_t pid, const ProcessPatch **patch) {
        CrashPlace place = CRASH_UNKNOWN;

        *patch = NULL;
        for (size_t i = 0; i < b->noted.n && !*patch; i++)
                if (b->noted.items[i].process.pid == pid)
                        *patch = &b->noted.items[i].patch;
        for (size_t i = 0; *patch && i < SEEN; i++) {
                const ProcessPatch *at = b->seen[i].pid ? patch_at(b, pid, b->seen[i].ip) : NULL;

                if (at) {
                        *patch = at;
                        return CRASH_INSIDE;
                }
                if (b->seen[i].pid == pid)
                        place = CRASH_OUTSIDE;
        }
        return place;
}

static Suspect *suspect(CrashBook *b, const ProcessPatch *p) {
        Suspect s = { 0 };

        for (size_t i = 0; i < b->suspects.n; i++)
                if (memcmp(b->suspects.items[i].digest, p->digest, DIGEST_SIZE) == 0)
                        return &b->suspects.items[i];
        memcpy(s.digest, p->digest, DIGEST_SIZE);
        vec_push(&b->suspects, s);
        return &b->suspects.items[b->suspects.n - 1];
}

bool crash_convicts(CrashBook *b, pid_t pid, const ProcessPatch *p, CrashPlace place, uint64_t now_usec,
                    uint64_t within_usec) {
        Witness w = { .user = WITNESS_FOREIGN };
        Suspect *s = suspect(b, p);
        Tally *t;

        if (place == CRASH_OUTSIDE ||
            (place == CRASH_UNKNOWN && now_usec > p->time_sec * 1000000 + within_usec))
                return false;
        for (size_t i = 0; i < b->noted.n; i++)
                if (b->noted.items[i].process.pid == pid)
                        w = b->noted.items[i].witness;
        t = w.trusted ? &s->trusted : &s->others;
        t->several |= t->n > 0 && t->first != w.user;
        if (t->n++ == 0)
                t->first = w.user;
        t->inside |= place == CRASH_INSIDE;
        return (t->inside || t->n >= UNKNOWN_MIN) && (w.trusted || t->several);
}

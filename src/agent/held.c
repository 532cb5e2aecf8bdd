/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/held.h"
#include "apply/engine.h"
#include "base/file.h"
#include "base/macro.h"
#include "proc/list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATTERNS_MAX = 65536 };

static void fclosep(FILE **f) {
        if (*f)
                fclose(*f);
}

int held_offer(const char *runtime, const Policy *p, Error *e) {
        char path[PATH_MAX], text[PATTERNS_MAX];
        size_t n = 0;

        snprintf(path, sizeof(path), "%s/hold", runtime);
        if (!p->hold_restarts || p->mode != PATCH_AUTOMATIC)
                return unlink(path) < 0 && errno != ENOENT ? error_errno(e, -errno, "%s", path) : 0;
        for (size_t i = 0; i < p->n_exclude; i++) {
                if (p->exclude[i].by != MATCH_UNIT)
                        continue;
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", p->exclude[i].pattern);
                if (n >= sizeof(text))
                        return error_set(e, -E2BIG,
                                         "%s: the patterns of excluded units are longer than %d bytes", path,
                                         PATTERNS_MAX);
        }
        return file_write_atomic(path, text, n, e);
}

typedef struct Note {
        Held held;
        double uptime; /* seconds after boot */
} Note;

/* False: the note is of an earlier boot, or nothing that the script wrote. */
static bool read_note(const char *path, const char *boot, Note *out) {
        _cleanup_(fclosep) FILE *f = fopen(path, "re");
        Held *h = &out->held;
        struct stat st;
        char id[64];

        if (!f || fstat(fileno(f), &st) < 0 || fscanf(f, "%63s %lf", id, &out->uptime) != 2 ||
            strcmp(id, boot) != 0)
                return false;
        h->since_usec = (uint64_t)st.st_mtim.tv_sec * 1000000 + (uint64_t)st.st_mtim.tv_nsec / 1000;
        while (h->n < HELD_PACKAGES && fscanf(f, "%255s %31s %255s", h->packages[h->n].name,
                                              h->packages[h->n].arch, h->packages[h->n].from) == 3)
                h->n++;
        return true;
}

/* Was one of its patches applied since? */
static bool patched_since(pid_t pid, uint64_t since_usec) {
        _cleanup_(freep) ProcessPatch *have = NULL;
        size_t n = 0;

        if (engine_status(pid, &have, &n, NULL) < 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if (have[i].state == PATCH_STATE_ACTIVE && have[i].time_sec >= since_usec / 1000000)
                        return true;
        return false;
}

static bool runs_old(const ProcessList *all, const Note *note) {
        double ticks = (double)sysconf(_SC_CLK_TCK);

        for (size_t i = 0; i < all->n; i++)
                if (strcmp(all->items[i].unit, note->held.unit) == 0 &&
                    (double)all->items[i].start_time / ticks < note->uptime)
                        return true;
        return false;
}

static bool taken_care_of(const Converged *c, const Note *note) {
        for (size_t i = 0; i < c->outdated.n_processes; i++) {
                const ConvergedProcess *p = &c->processes[i];

                if (p->gone || strcmp(p->of->process.unit, note->held.unit) != 0)
                        continue;
                for (size_t k = 0; k < p->of->n; k++)
                        if (p->images[k].outcome == IMAGE_PATCHED || p->images[k].outcome == IMAGE_REVERTED ||
                            p->images[k].outcome == IMAGE_RESTART)
                                return true;
                /* By a round before this one. */
                if (patched_since(p->of->process.pid, note->held.since_usec))
                        return true;
        }
        return false;
}

int held_settle(const char *state, const Converged *c, void (*needs)(void *data, const Held *held),
                void *data, Error *e) {
        char folder[PATH_MAX], path[PATH_MAX], boot[64] = "";
        _cleanup_(fclosep) FILE *id = fopen("/proc/sys/kernel/random/boot_id", "re");
        ProcessList all = { 0 };
        struct dirent *entry;
        DIR *d;
        int r;

        snprintf(folder, sizeof(folder), "%s/held", state);
        d = opendir(folder);
        if (!d)
                return errno == ENOENT ? 0 : error_errno(e, -errno, "%s", folder);
        r = id && fscanf(id, "%63s", boot) == 1 ? process_list(&all, e)
                                                : error_set(e, -EIO, "the boot's id can't be read");
        while (r == 0 && (entry = readdir(d))) {
                Note note = { .held.unit = entry->d_name };

                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
                if (!read_note(path, boot, &note) || !runs_old(&all, &note) || taken_care_of(c, &note))
                        unlink(path);
                else
                        needs(data, &note.held);
        }
        process_list_free(&all);
        closedir(d);
        return r;
}

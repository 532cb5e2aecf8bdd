/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/tracker.h"
#include "base/macro.h"
#include "base/vec.h"
#include "evidence/changelog.h"
#include "evidence/read.h"
#include "evidence/version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef VEC(const char *) Names;
typedef VEC(TrackerEntry) EntryList;

enum { FIELD_MAX = 65536 };

/* Splits a line at its first commas into exactly `want` fields; the last one keeps further commas. */
static bool split(char *line, char **fields, size_t want) {
        for (size_t i = 0; i + 1 < want; i++) {
                fields[i] = line;
                line = strchr(line, ',');
                if (!line)
                        return false;
                *line++ = 0;
        }
        fields[want - 1] = line;
        return true;
}

static void split_versions(char *text, Arena *a, TrackerEntry *to) {
        Names list = { 0 };
        char *save, *v;

        for (v = strtok_r(text, " ", &save); v; v = strtok_r(NULL, " ", &save))
                vec_push(&list, v);
        if (list.n)
                to->other_versions = arena_dup(a, list.items, list.n * sizeof(*list.items));
        to->n_other = list.n;
        vec_free(&list);
}

/* "openssl,17, H F,3.0.11-1,3.0.9-1 3.0.11-1~deb12u2": flags are source or binary, urgency, remote, fixed. */
static bool read_entry(char *line, const Names *cves, Arena *a, TrackerEntry *out) {
        char *f[5], *end;
        unsigned long index;

        if (!split(line, f, 5) || !*f[0] || strlen(f[2]) < 4)
                return false;
        errno = 0;
        index = strtoul(f[1], &end, 10);
        if (end == f[1] || *end || errno || index >= cves->n)
                return false;
        *out = (TrackerEntry){ .cve = cves->items[index],
                               .package = f[0],
                               .binary = f[2][0] == 'B',
                               .available = f[2][3] == 'F',
                               .unstable_version = f[3] };
        split_versions(f[4], a, out);
        return true;
}

static int by_text(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_package(const void *a, const void *b) {
        const TrackerEntry *x = a, *y = b;
        int r = strcmp(x->package, y->package);

        return r ? r : strcmp(x->cve, y->cve);
}

static int parse(const char *name, Lines *lines, Arena *a, Names *cves, EntryList *entries, Error *e) {
        size_t n, section = 0, number = 1;
        const char *line;

        if (!lines_next(lines, &line, &n) || n != 9 || memcmp(line, "VERSION 1", 9) != 0)
                return error_set(e, -EINVAL, "%s: not the tracker's data in debsecan's form (VERSION 1)",
                                 name);
        while (section < 2 && lines_next(lines, &line, &n)) {
                char *text, *f[3];
                TrackerEntry entry;

                if (++number > TRACKER_MAX_LINES)
                        return error_set(e, -E2BIG, "%s: more than %d lines", name, TRACKER_MAX_LINES);
                if (!n) {
                        section++;
                        continue;
                }
                if (n > FIELD_MAX)
                        return error_set(e, -E2BIG, "%s:%zu: a line of %zu bytes", name, number, n);
                text = arena_printf(a, "%.*s", (int)n, line);
                if (section ? !read_entry(text, cves, a, &entry) : !split(text, f, 3))
                        return error_set(e, -EINVAL, "%s:%zu: not an entry of the tracker's data", name,
                                         number);
                if (section)
                        vec_push(entries, entry);
                else
                        vec_push(cves, f[0]);
        }
        return section < 2 ? error_set(e, -EINVAL, "%s: ends after line %zu, in the middle", name, number)
                           : 0;
}

int tracker_parse(const char *name, const FileBytes *text, Arena *a, Tracker *out, Error *e) {
        Lines lines = lines_of(text);
        EntryList entries = { 0 };
        Tracker t = { 0 };
        Names cves = { 0 };
        int r = parse(name, &lines, a, &cves, &entries, e);

        if (r == 0 && entries.n) {
                qsort(entries.items, entries.n, sizeof(*entries.items), by_package);
                t.entries = arena_dup(a, entries.items, entries.n * sizeof(*entries.items));
                t.n = entries.n;
        }
        if (r == 0 && cves.n) {
                qsort(cves.items, cves.n, sizeof(*cves.items), by_text);
                t.cves = arena_dup(a, cves.items, cves.n * sizeof(*cves.items));
                t.n_cves = cves.n;
        }
        vec_free(&entries);
        vec_free(&cves);
        if (r == 0)
                *out = t;
        return r;
}

bool tracker_names(const Tracker *t, const char *cve) {
        return t->n_cves && bsearch(&cve, t->cves, t->n_cves, sizeof(*t->cves), by_text);
}

void tracker_of(const Tracker *t, const char *package, size_t *from, size_t *n) {
        size_t lo = 0, hi = t->n;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (strcmp(t->entries[mid].package, package) < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        *from = lo;
        for (*n = 0; lo + *n < t->n && strcmp(t->entries[lo + *n].package, package) == 0; ++*n)
                ;
}

bool tracker_vulnerable(const TrackerEntry *entry, const char *version) {
        if (*entry->unstable_version && version_compare(version, entry->unstable_version) >= 0)
                return false;
        for (size_t i = 0; !entry->binary && i < entry->n_other; i++)
                if (version_compare(version, entry->other_versions[i]) == 0)
                        return false;
        return true;
}

static const char *tracker_place(int root, const char *given, Arena *a) {
        const char *source, *suite;
        FileBytes text = { 0 };

        if (given || root_read(root, "etc/default/debsecan", 1 << 20, &text, NULL) < 0)
                return given;
        source = read_setting(&text, "SOURCE", a);
        suite = read_setting(&text, "SUITE", a);
        file_release(&text);
        if (!source || strncmp(source, "file://", 7) != 0 || source[7] != '/')
                return NULL;
        return arena_printf(a, "%s/%s", source + 7, suite ? suite : "GENERIC");
}

int tracker_read(int root, const char *given, Arena *a, Tracker *out, const char **place, Error *e) {
        const char *from = tracker_place(root, given, a);
        FileBytes text = { 0 };
        int r;

        *place = NULL;
        if (!from)
                return 0;
        r = file_read(from, TRACKER_MAX, &text, e);
        if (r == -ENOENT && !given)
                return 0;
        if (r == 0)
                r = inflate_bytes(from, &text, TRACKER_MAX, e);
        if (r == 0)
                r = tracker_parse(from, &text, a, out, e);
        file_release(&text);
        *place = r == 0 ? from : NULL;
        return r;
}

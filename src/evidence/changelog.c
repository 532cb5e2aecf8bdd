/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/changelog.h"
#include "base/macro.h"
#include "base/vec.h"
#include "evidence/read.h"
#include "evidence/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool cve_read(const char *s, size_t n, char out[CVE_MAX], size_t *used) {
        size_t at = 4, digits = 0;

        if (n < 13 || strncasecmp(s, "CVE-", 4) != 0)
                return false;
        for (; at < 8; at++)
                if (s[at] < '0' || s[at] > '9')
                        return false;
        if (s[at++] != '-')
                return false;
        while (at < n && s[at] >= '0' && s[at] <= '9') {
                at++;
                digits++;
        }
        if (digits < 4 || at >= CVE_MAX)
                return false;
        memcpy(out, "CVE-", 4);
        memcpy(out + 4, s + 4, at - 4);
        out[at] = 0;
        if (used)
                *used = at;
        return true;
}

typedef VEC(ChangelogEntry) Entries;
typedef VEC(const char *) Names;

/* "openssl (3.0.20-1~deb12u2) bookworm-security; urgency=medium" */
static bool read_head(const char *line, size_t n, Arena *a, ChangelogEntry *out) {
        size_t name = 0, version = 0, at;

        while (name < n && line[name] != ' ' && line[name] != '(' && line[name] != '\t')
                name++;
        at = name;
        while (at < n && (line[at] == ' ' || line[at] == '\t'))
                at++;
        if (!name || at >= n || line[at] != '(')
                return false;
        at++;
        while (at + version < n && line[at + version] != ')')
                version++;
        if (at + version >= n || !memchr(line + at, ';', n - at))
                return false;
        *out = (ChangelogEntry){ .source = arena_printf(a, "%.*s", (int)name, line),
                                 .version = arena_printf(a, "%.*s", (int)version, line + at) };
        return version_valid(out->version);
}

/* " -- Name <mail>  Tue, 01 Oct 2024 12:00:00 +0200" */
static int64_t read_time(const char *line, size_t n) {
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        char text[64], month[4];
        const char *at, *found;
        struct tm tm = { 0 };
        int sign, zone;
        char plus;

        for (at = line + n; at > line && *(at - 1) != '>'; at--)
                ;
        if (at == line || (size_t)(line + n - at) >= sizeof(text))
                return 0;
        snprintf(text, sizeof(text), "%.*s", (int)(line + n - at), at);
        at = strchr(text, ',');
        if (!at || sscanf(at + 1, "%2d %3s %4d %2d:%2d:%2d %c%4d", &tm.tm_mday, month, &tm.tm_year,
                          &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &plus, &zone) != 8)
                return 0;
        found = strlen(month) == 3 ? strstr(months, month) : NULL;
        if (!found || (found - months) % 3 || (plus != '+' && plus != '-') || tm.tm_year < 1990 ||
            tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 ||
            tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60 || zone < 0 || zone > 2400)
                return 0;
        tm.tm_mon = (int)(found - months) / 3;
        tm.tm_year -= 1900;
        sign = plus == '-' ? -1 : 1;
        return (int64_t)timegm(&tm) - sign * (zone / 100 * 3600 + zone % 100 * 60);
}

static bool has_name(const Names *names, size_t from, const char *cve) {
        for (size_t i = from; i < names->n; i++)
                if (strcmp(names->items[i], cve) == 0)
                        return true;
        return false;
}

static bool is_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Adds the CVEs that a line names to those of its entry, which begin at `from`. */
static void read_cves(const char *line, size_t n, Arena *a, Names *names, size_t from) {
        char cve[CVE_MAX];
        size_t used;

        for (size_t at = 0; at + 4 < n; at++) {
                if ((line[at] != 'C' && line[at] != 'c') || (at && is_word(line[at - 1])) ||
                    !cve_read(line + at, n - at, cve, &used))
                        continue;
                at += used - 1;
                if (!has_name(names, from, cve))
                        vec_push(names, arena_strdup(a, cve));
        }
}

static void close_entry(Entries *entries, Names *names, size_t from, Arena *a) {
        ChangelogEntry *entry = &entries->items[entries->n - 1];

        entry->n_cves = names->n - from;
        if (entry->n_cves)
                entry->cves = arena_dup(a, names->items + from, entry->n_cves * sizeof(*names->items));
}

int changelog_parse(const char *name, const FileBytes *text, Arena *a, Changelog *out, Error *e) {
        Lines lines = lines_of(text);
        Entries entries = { 0 };
        Names names = { 0 };
        size_t n, from = 0;
        bool open = false;
        const char *line;
        int r = 0;

        while (lines_next(&lines, &line, &n)) {
                ChangelogEntry head;

                if (n && line[0] != ' ' && line[0] != '\t' && read_head(line, n, a, &head)) {
                        if (open)
                                close_entry(&entries, &names, from, a);
                        vec_push(&entries, head);
                        from = names.n;
                        open = true;
                } else if (open && n > 4 && memcmp(line, " -- ", 4) == 0) {
                        entries.items[entries.n - 1].time_sec = read_time(line, n);
                        close_entry(&entries, &names, from, a);
                        open = false;
                } else if (open && n && line[0] == ' ') {
                        read_cves(line, n, a, &names, from);
                }
                if (entries.n > CHANGELOG_MAX_ENTRIES || names.n > CHANGELOG_MAX_CVES ||
                    names.n - from > CHANGELOG_MAX_OF_ENTRY) {
                        r = error_set(e, -E2BIG, "%s: more entries than a changelog has", name);
                        break;
                }
        }
        if (open)
                close_entry(&entries, &names, from, a);
        if (r == 0) {
                out->n = entries.n;
                out->entries =
                        entries.n ? arena_dup(a, entries.items, entries.n * sizeof(*entries.items)) : NULL;
        }
        vec_free(&entries);
        vec_free(&names);
        return r;
}

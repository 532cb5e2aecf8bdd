/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/dpkglog.h"
#include "base/macro.h"
#include "base/vec.h"
#include "evidence/read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef VEC(Unpacked) UnpackedList;

/* "2026-01-31 03:00:00" in local time; false: no time, or one that there was twice. */
static bool read_time(const char *line, size_t n, int64_t *out) {
        struct tm tm = { 0 }, winter, summer;
        char text[20];
        time_t a, b;

        if (n < 19)
                return false;
        snprintf(text, sizeof(text), "%.19s", line);
        if (sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                   &tm.tm_min, &tm.tm_sec) != 6 ||
            tm.tm_year < 1990 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
            tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
            tm.tm_sec > 60)
                return false;
        tm.tm_year -= 1900;
        tm.tm_mon--;
        winter = summer = tm;
        summer.tm_isdst = 1;
        a = mktime(&winter);
        b = mktime(&summer);
        if (a != b && winter.tm_hour == tm.tm_hour && summer.tm_hour == tm.tm_hour && winter.tm_isdst == 0 &&
            summer.tm_isdst == 1)
                return false;
        tm.tm_isdst = -1;
        *out = (int64_t)mktime(&tm);
        return true;
}

/* The next word of a line. */
static bool word(const char **at, const char *end, const char **out, size_t *n) {
        while (*at < end && **at == ' ')
                ++*at;
        *out = *at;
        while (*at < end && **at != ' ')
                ++*at;
        *n = (size_t)(*at - *out);
        return *n > 0;
}

static bool is(const char *s, size_t n, const char *what) {
        return strlen(what) == n && memcmp(s, what, n) == 0;
}

/* An "install" or "upgrade" that has begun. */
typedef struct Begun {
        const char *package, *arch, *version;
        int64_t sec;
        bool timed;
} Begun;

/* "libssl3:amd64" */
static bool same_package(const Begun *b, const char *s, size_t n) {
        size_t k = strlen(b->package);

        return n == k + 1 + strlen(b->arch) && memcmp(s, b->package, k) == 0 && s[k] == ':' &&
               memcmp(s + k + 1, b->arch, n - k - 1) == 0;
}

static void read_line(const char *line, size_t n, Arena *a, Begun *begun, UnpackedList *list) {
        const char *at = line + MIN(n, (size_t)19), *end = line + n, *verb, *who, *old, *new, *colon;
        size_t n_verb, n_who, n_old, n_new;
        int64_t sec = 0;
        bool timed = read_time(line, n, &sec);

        if (!word(&at, end, &verb, &n_verb))
                return;
        if (is(verb, n_verb, "install") || is(verb, n_verb, "upgrade")) {
                begun->package = NULL;
                if (!word(&at, end, &who, &n_who) || !word(&at, end, &old, &n_old) ||
                    !word(&at, end, &new, &n_new) || !(colon = memchr(who, ':', n_who)))
                        return;
                *begun = (Begun){ .package = arena_printf(a, "%.*s", (int)(colon - who), who),
                                  .arch = arena_printf(a, "%.*s", (int)(who + n_who - colon - 1), colon + 1),
                                  .version = arena_printf(a, "%.*s", (int)n_new, new),
                                  .sec = sec,
                                  .timed = timed };
                return;
        }
        /* "status unpacked libssl3:amd64 3.0.22-1": dpkg is through with the files. An upgrade says it of the
         * old version first. */
        if (!begun->package || !is(verb, n_verb, "status") || !word(&at, end, &verb, &n_verb) ||
            !is(verb, n_verb, "unpacked") || !word(&at, end, &who, &n_who) || !word(&at, end, &new, &n_new) ||
            !same_package(begun, who, n_who) || !is(new, n_new, begun->version))
                return;
        if (timed && begun->timed && begun->sec <= sec)
                vec_push(list, (Unpacked){ begun->package, begun->arch, begun->version, begun->sec, sec });
        begun->package = NULL;
}

int dpkglog_parse(const char *name, const FileBytes *text, Arena *a, DpkgLog *log, Error *e) {
        Lines lines = lines_of(text);
        UnpackedList list = { 0 };
        Begun begun = { 0 };
        const char *line;
        size_t n;
        int r = 0;

        while (r == 0 && lines_next(&lines, &line, &n)) {
                read_line(line, n, a, &begun, &list);
                if (list.n + log->n > DPKG_LOG_MAX_UNPACKED)
                        r = error_set(e, -E2BIG, "%s: more packages than a log tells of", name);
        }
        if (r == 0 && list.n) {
                Unpacked *all = arena_newa(a, Unpacked, log->n + list.n);

                if (log->n)
                        memcpy(all, log->items, log->n * sizeof(*all));
                memcpy(all + log->n, list.items, list.n * sizeof(*all));
                log->items = all;
                log->n += list.n;
        }
        vec_free(&list);
        return r;
}

int dpkglog_read(int root, Arena *a, DpkgLog *out, Error *e) {
        int r = 0;

        *out = (DpkgLog){ 0 };
        for (int i = 0; r == 0 && i < DPKG_LOG_FILES; i++)
                for (int gz = 0; r == 0 && gz <= (i > 0); gz++) {
                        FileBytes text = { 0 };
                        char path[64];

                        if (i)
                                snprintf(path, sizeof(path), "var/log/dpkg.log.%d%s", i, gz ? ".gz" : "");
                        else
                                snprintf(path, sizeof(path), "var/log/dpkg.log");
                        if (root_read(root, path, DPKG_LOG_MAX, &text, NULL) < 0)
                                continue;
                        r = dpkglog_parse(path, &text, a, out, e);
                        file_release(&text);
                }
        return r;
}

const char *dpkglog_at(const DpkgLog *log, const char *package, const char *arch, int64_t time_sec) {
        const char *found = NULL;

        for (size_t i = 0; i < log->n; i++) {
                const Unpacked *u = &log->items[i];

                if (time_sec < u->begin_sec || time_sec > u->end_sec || strcmp(u->package, package) != 0 ||
                    strcmp(u->arch, arch) != 0)
                        continue;
                if (found && strcmp(found, u->version) != 0)
                        return NULL;
                found = u->version;
        }
        return found;
}

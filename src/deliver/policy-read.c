/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/policy-read.h"
#include "base/macro.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

void policy_mistake(PolicyReader *r, const TomlNode *at, const char *format, ...) {
        char text[400], whole[900];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (at)
                snprintf(whole, sizeof(whole), "%s:%u: %s%s%s", r->file, at->line, at->key,
                         *at->key ? ": " : "", text);
        else
                snprintf(whole, sizeof(whole), "%s: %s", r->file, text);
        if (!r->mistakes++)
                error_set(&r->first, -EINVAL, "%s", whole);
        if (r->mistake)
                r->mistake(r->data, whole);
}

double policy_duration(const char *s) {
        static const struct {
                const char *unit;
                double seconds;
        } units[] = { { "ms", 0.001 }, { "min", 60 }, { "m", 60 },   { "s", 1 },
                      { "sec", 1 },    { "h", 3600 }, { "d", 86400 } };
        double total = 0;

        if (!*s)
                return -1;
        while (*s) {
                size_t n = strspn(s, "0123456789"), letters;
                double v = 0, factor = -1;

                if (n == 0 || n > 9)
                        return -1;
                for (size_t i = 0; i < n; i++)
                        v = v * 10 + (s[i] - '0');
                s += n + strspn(s + n, " ");
                letters = strspn(s, "abcdefghijklmnopqrstuvwxyz");
                for (size_t i = 0; i < ELEMENTSOF(units); i++)
                        if (strlen(units[i].unit) == letters && strncmp(units[i].unit, s, letters) == 0)
                                factor = units[i].seconds;
                if (factor < 0)
                        return -1;
                total += v * factor;
                s += letters + strspn(s + letters, " ");
        }
        return total;
}

static void read_duration(PolicyReader *r, const TomlNode *v, const Field *f, void *to) {
        double sec = v->type == TOML_STRING    ? policy_duration(v->string)
                     : v->type == TOML_INTEGER ? v->number
                                               : -1;

        if (sec < 0) {
                policy_mistake(r, v, "not a duration; write \"90s\", \"5min\", \"1h30min\" or \"2d\"");
                return;
        }
        if (sec < f->min || sec > f->max) {
                policy_mistake(r, v, "out of range; from %gs to %gs", f->min, f->max);
                return;
        }
        if (f->kind == FIELD_USEC)
                *(uint64_t *)to = (uint64_t)(sec * 1e6);
        else
                *(uint32_t *)to = (uint32_t)sec;
}

static void read_count(PolicyReader *r, const TomlNode *v, const Field *f, void *to) {
        if (v->type != TOML_INTEGER)
                policy_mistake(r, v, "must be an integer, and is %s", toml_type_text(v->type));
        else if (v->number < f->min || v->number > f->max)
                policy_mistake(r, v, "out of range; from %g to %g", f->min, f->max);
        else
                *(uint32_t *)to = (uint32_t)v->number;
}

/* Bytes of "512MiB"; negative when it is none. */
static double size_of(const char *s) {
        static const struct {
                const char *unit;
                double bytes;
        } units[] = { { "", 1 },
                      { "B", 1 },
                      { "KiB", 1024.0 },
                      { "MiB", 1048576.0 },
                      { "GiB", 1073741824.0 },
                      { "kB", 1e3 },
                      { "MB", 1e6 },
                      { "GB", 1e9 },
                      { "TB", 1e12 },
                      { "TiB", 1099511627776.0 } };
        size_t n = strspn(s, "0123456789");
        double v = 0;

        if (n == 0 || n > 15)
                return -1;
        for (size_t i = 0; i < n; i++)
                v = v * 10 + (s[i] - '0');
        s += n + strspn(s + n, " ");
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strcmp(units[i].unit, s) == 0)
                        return v * units[i].bytes;
        return -1;
}

static void read_size(PolicyReader *r, const TomlNode *v, const Field *f, void *to) {
        double bytes = v->type == TOML_STRING ? size_of(v->string) : v->type == TOML_INTEGER ? v->number : -1;

        if (bytes < 0)
                policy_mistake(r, v, "not a size; write \"512MiB\" or \"2GiB\"");
        else if (bytes < f->min || bytes > f->max)
                policy_mistake(r, v, "out of range; from %g to %g bytes", f->min, f->max);
        else
                *(uint64_t *)to = (uint64_t)bytes;
}

static void read_enum(PolicyReader *r, const TomlNode *v, const Field *f, void *to) {
        char allowed[256] = "";
        size_t n = 0;

        for (const Word *w = f->words; w->word; w++) {
                if (v->type == TOML_STRING && strcasecmp(w->word, v->string) == 0) {
                        memcpy(to, &w->value, sizeof(w->value));
                        return;
                }
                n += (size_t)snprintf(allowed + n, sizeof(allowed) - n, "%s\"%s\"", n ? ", " : "", w->word);
        }
        policy_mistake(r, v, "must be one of %s", allowed);
}

static void read_strings(PolicyReader *r, const TomlNode *v, void *to) {
        const char **items;

        if (v->type != TOML_ARRAY || v->n > POLICY_MAX_ITEMS) {
                policy_mistake(r, v, "must be an array of at most %d strings", POLICY_MAX_ITEMS);
                return;
        }
        items = arena_newa(r->policy->arena, const char *, v->n);
        for (size_t i = 0; i < v->n; i++) {
                if (v->items[i].type != TOML_STRING) {
                        policy_mistake(r, v, "every item must be a string, and one is %s",
                                       toml_type_text(v->items[i].type));
                        return;
                }
                items[i] = v->items[i].string;
        }
        memcpy(to, &items, sizeof(items));
        memcpy((char *)to + sizeof(items), &v->n, sizeof(v->n));
}

void policy_read_field(PolicyReader *r, const TomlNode *v, const Field *f, void *to) {
        switch (f->kind) {
        case FIELD_STRING:
                if (v->type != TOML_STRING)
                        policy_mistake(r, v, "must be a string, and is %s", toml_type_text(v->type));
                else
                        *(const char **)to = v->string;
                return;
        case FIELD_STRINGS:
                read_strings(r, v, to);
                return;
        case FIELD_BOOL:
                if (v->type != TOML_BOOLEAN)
                        policy_mistake(r, v, "must be true or false");
                else
                        *(bool *)to = v->boolean;
                return;
        case FIELD_ENUM:
                read_enum(r, v, f, to);
                return;
        case FIELD_NODE:
                *(const TomlNode **)to = v;
                return;
        case FIELD_COUNT:
                read_count(r, v, f, to);
                return;
        case FIELD_SIZE:
                read_size(r, v, f, to);
                return;
        default:
                read_duration(r, v, f, to);
        }
}

/* The known key that is most like `key`: one within two edits of a letter; NULL when there is none. */
static const char *nearest(const char *key, const Field *fields, size_t n) {
        const char *best = NULL;
        size_t least = 3;

        for (size_t i = 0; i < n; i++) {
                size_t row[64], a = strlen(key), b = strlen(fields[i].key);

                if (a >= ELEMENTSOF(row) || b >= ELEMENTSOF(row))
                        continue;
                for (size_t y = 0; y <= b; y++)
                        row[y] = y;
                for (size_t x = 1; x <= a; x++) {
                        size_t corner = row[0];

                        row[0] = x;
                        for (size_t y = 1; y <= b; y++) {
                                size_t above = row[y];

                                row[y] = MIN(MIN(row[y], row[y - 1]) + 1,
                                             corner + (key[x - 1] != fields[i].key[y - 1]));
                                corner = above;
                        }
                }
                if (row[b] < least) {
                        least = row[b];
                        best = fields[i].key;
                }
        }
        return best;
}

void policy_unknown(PolicyReader *r, const TomlNode *v, const Field *fields, size_t n) {
        const char *like = nearest(v->key, fields, n);

        if (like)
                policy_mistake(r, v, "no such key; did you mean '%s'?", like);
        else
                policy_mistake(r, v, "no such key here");
}

bool policy_read_table(PolicyReader *r, const TomlNode *table, const Field *fields, size_t n, void *to) {
        size_t before = r->mistakes;

        for (size_t i = 0; i < table->n; i++) {
                size_t k = 0;

                while (k < n && strcmp(fields[k].key, table->items[i].key) != 0)
                        k++;
                if (k == n)
                        policy_unknown(r, &table->items[i], fields, n);
                else
                        policy_read_field(r, &table->items[i], &fields[k], (char *)to + fields[k].offset);
        }
        for (size_t k = 0; k < n; k++)
                if (fields[k].required && !toml_get(table, fields[k].key))
                        policy_mistake(r, table, "'%s' is missing", fields[k].key);
        return r->mistakes == before;
}

void policy_need_user(PolicyReader *r, const TomlNode *at, const char *user) {
        if (r->here && !getpwnam(user))
                policy_mistake(r, at, "there is no user '%s' on this machine", user);
}

/* Is it certain that this user may not execute (a folder: pass) what has this mode? An access list can give
 * no right to others where none of these bits is set. */
static bool is_kept_out(const struct stat *st, const struct passwd *user) {
        return user && user->pw_uid != 0 && st->st_uid != user->pw_uid &&
               !(st->st_mode & (S_IXGRP | S_IXOTH));
}

void policy_need_program(PolicyReader *r, const TomlNode *at, const char *path, const char *user) {
        const struct passwd *who = getpwnam(user);
        char folder[PATH_MAX];
        struct stat st;

        if (!r->here || strlen(path) >= sizeof(folder))
                return;
        if (stat(path, &st) < 0) {
                if (errno == ENOENT || errno == ENOTDIR) /* else it is not for us to see */
                        policy_mistake(r, at, "there is no program '%s' on this machine", path);
                return;
        }
        if (!S_ISREG(st.st_mode) || !(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH))) {
                policy_mistake(r, at, "'%s' is no program that can be executed", path);
                return;
        }
        if (is_kept_out(&st, who)) {
                policy_mistake(r, at, "user '%s' may not execute '%s'", user, path);
                return;
        }
        for (size_t n = 1; path[n]; n++) {
                if (path[n] != '/')
                        continue;
                memcpy(folder, path, n);
                folder[n] = 0;
                if (stat(folder, &st) == 0 && is_kept_out(&st, who)) {
                        policy_mistake(r, at, "user '%s' may not execute '%s': '%s' is closed to others",
                                       user, path, folder);
                        return;
                }
        }
}

void policy_need_command(PolicyReader *r, const TomlNode *at, const char *text) {
        size_t n = strcspn(text, " \t\n");

        if (*text == '/' && strcspn(text, "\"'`$\\*?[]{}()<>|&;#~") >= n)
                policy_need_program(r, at, arena_printf(r->policy->arena, "%.*s", (int)n, text), "root");
}

const char *policy_word(const Word *words, int value) {
        for (; words->word; words++)
                if (words->value == value)
                        return words->word;
        return "?";
}

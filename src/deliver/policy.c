/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/policy.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/toml.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_ITEMS = 1000, MAX_DROP_INS = 200 };

/* How a key is read. Durations are strings: "90s", "5min", "1h30min", "2d"; a plain integer means seconds. */
typedef enum FieldKind {
        FIELD_STRING,
        FIELD_STRINGS, /* const char ** and, right behind it, size_t */
        FIELD_BOOL,
        FIELD_ENUM, /* int-sized */
        FIELD_SEC,  /* uint32_t */
        FIELD_USEC, /* uint64_t */
} FieldKind;

typedef struct Word {
        const char *word;
        int value;
} Word;

typedef struct Field {
        const char *key;
        FieldKind kind;
        size_t offset;
        double min, max;   /* of what is stored, for numbers and durations (these in seconds) */
        const Word *words; /* FIELD_ENUM: the first that has a value is its canonical word; ends with NULL */
        bool required;
} Field;

typedef struct Reader {
        const char *file;
        Policy *policy;
        void (*mistake)(void *data, const char *text);
        void *data;
        Error first;
        size_t mistakes;
} Reader;

static const Word mode_words[] = {
        { "automatic", PATCH_AUTOMATIC },     { "AutomaticByPlatform", PATCH_AUTOMATIC },
        { "assess-only", PATCH_ASSESS_ONLY }, { "ImageDefault", PATCH_ASSESS_ONLY },
        { "manual", PATCH_MANUAL },           { NULL, 0 }
};

static void mistake(Reader *r, const TomlNode *at, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void mistake(Reader *r, const TomlNode *at, const char *format, ...) {
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

/* Seconds of "1h30min"; negative when it is none. */
static double duration(const char *s) {
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

static void read_duration(Reader *r, const TomlNode *v, const Field *f, void *to) {
        double sec = v->type == TOML_STRING ? duration(v->string) : v->type == TOML_INTEGER ? v->number : -1;

        if (sec < 0) {
                mistake(r, v, "not a duration; write \"90s\", \"5min\", \"1h30min\" or \"2d\"");
                return;
        }
        if (sec < f->min || sec > f->max) {
                mistake(r, v, "out of range; from %gs to %gs", f->min, f->max);
                return;
        }
        if (f->kind == FIELD_USEC)
                *(uint64_t *)to = (uint64_t)(sec * 1e6);
        else
                *(uint32_t *)to = (uint32_t)sec;
}

static void read_enum(Reader *r, const TomlNode *v, const Field *f, void *to) {
        char allowed[256] = "";
        size_t n = 0;

        for (const Word *w = f->words; w->word; w++) {
                if (v->type == TOML_STRING && strcasecmp(w->word, v->string) == 0) {
                        memcpy(to, &w->value, sizeof(w->value));
                        return;
                }
                n += (size_t)snprintf(allowed + n, sizeof(allowed) - n, "%s\"%s\"", n ? ", " : "", w->word);
        }
        mistake(r, v, "must be one of %s", allowed);
}

static void read_strings(Reader *r, const TomlNode *v, void *to) {
        const char **items;

        if (v->type != TOML_ARRAY || v->n > MAX_ITEMS) {
                mistake(r, v, "must be an array of at most %d strings", MAX_ITEMS);
                return;
        }
        items = arena_newa(r->policy->arena, const char *, v->n);
        for (size_t i = 0; i < v->n; i++) {
                if (v->items[i].type != TOML_STRING) {
                        mistake(r, v, "every item must be a string, and one is %s",
                                toml_type_text(v->items[i].type));
                        return;
                }
                items[i] = v->items[i].string;
        }
        memcpy(to, &items, sizeof(items));
        memcpy((char *)to + sizeof(items), &v->n, sizeof(v->n));
}

static void read_field(Reader *r, const TomlNode *v, const Field *f, void *to) {
        switch (f->kind) {
        case FIELD_STRING:
                if (v->type != TOML_STRING)
                        mistake(r, v, "must be a string, and is %s", toml_type_text(v->type));
                else
                        *(const char **)to = v->string;
                return;
        case FIELD_STRINGS:
                read_strings(r, v, to);
                return;
        case FIELD_BOOL:
                if (v->type != TOML_BOOLEAN)
                        mistake(r, v, "must be true or false");
                else
                        *(bool *)to = v->boolean;
                return;
        case FIELD_ENUM:
                read_enum(r, v, f, to);
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

static void unknown(Reader *r, const TomlNode *v, const Field *fields, size_t n) {
        const char *like = nearest(v->key, fields, n);

        if (like)
                mistake(r, v, "no such key; did you mean '%s'?", like);
        else
                mistake(r, v, "no such key here");
}

static bool read_table(Reader *r, const TomlNode *table, const Field *fields, size_t n, void *to) {
        size_t before = r->mistakes;

        for (size_t i = 0; i < table->n; i++) {
                size_t k = 0;

                while (k < n && strcmp(fields[k].key, table->items[i].key) != 0)
                        k++;
                if (k == n)
                        unknown(r, &table->items[i], fields, n);
                else
                        read_field(r, &table->items[i], &fields[k], (char *)to + fields[k].offset);
        }
        for (size_t k = 0; k < n; k++)
                if (fields[k].required && !toml_get(table, fields[k].key))
                        mistake(r, table, "'%s' is missing", fields[k].key);
        return r->mistakes == before;
}

#define AT(T, member) offsetof(T, member)
typedef struct Accept {
        const char *package, *code;
} Accept;
static const Field accept_fields[] = {
        { "package", FIELD_STRING, AT(Accept, package), 0, 0, NULL, true },
        { "code", FIELD_STRING, AT(Accept, code), 0, 0, NULL, true },
};
static const Field health_fields[] = {
        { "automatic_rollback", FIELD_BOOL, AT(Policy, automatic_rollback), 0, 0, NULL, false },
};
#define EXCLUDED(key, by) \
        { key, FIELD_STRINGS, (by) * (sizeof(char **) + sizeof(size_t)), 0, 0, NULL, false }
static const Field exclude_fields[] = {
        EXCLUDED("unit", MATCH_UNIT),
        EXCLUDED("user", MATCH_USER),
        EXCLUDED("cgroup", MATCH_CGROUP),
        EXCLUDED("path", MATCH_PATH),
};
static const Field top_fields[] = {
        { "patch_mode", FIELD_ENUM, AT(Policy, mode), 0, 0, mode_words, false },
        { "safe_point_deadline", FIELD_USEC, AT(Policy, deadline_usec), 0.01, 3600, NULL, false },
        { "scan_interval", FIELD_SEC, AT(Policy, scan_sec), 5, 86400, NULL, false },
};

/* One more item of a list of structs. */
#define GROW(policy, list, T)                                                           \
        ({                                                                              \
                T *_items = arena_newa((policy)->arena, T, (policy)->n_##list + 1);     \
                if ((policy)->n_##list)                                                 \
                        memcpy(_items, (policy)->list, (policy)->n_##list * sizeof(T)); \
                (policy)->list = _items;                                                \
                &_items[(policy)->n_##list++];                                          \
        })

static void read_accept(Reader *r, const TomlNode *t) {
        Accept a = { 0 };
        RefusalCode code;

        if (!read_table(r, t, accept_fields, ELEMENTSOF(accept_fields), &a))
                return;
        code = refusal_find(a.code);
        if (code == REFUSAL_N)
                mistake(r, toml_get(t, "code"), "no such code; 'staunch explain' lists them");
        else if (refusal_get(code)->kind != REFUSAL_UPDATE)
                mistake(r, toml_get(t, "code"), "cannot be accepted: it is of a process, not of an update");
        else
                *GROW(r->policy, accept, PolicyAccept) = (PolicyAccept){ a.package, code };
}

static void read_exclude(Reader *r, const TomlNode *t) {
        struct {
                const char **patterns;
                size_t n;
        } by[MATCH_PATH + 1] = { 0 };

        if (!read_table(r, t, exclude_fields, ELEMENTSOF(exclude_fields), by))
                return;
        for (size_t k = 0; k < ELEMENTSOF(by); k++)
                for (size_t i = 0; i < by[k].n; i++)
                        *GROW(r->policy, exclude, PolicyMatch) =
                                (PolicyMatch){ (MatchBy)k, by[k].patterns[i] };
}

static void read_health(Reader *r, const TomlNode *t) {
        read_table(r, t, health_fields, ELEMENTSOF(health_fields), r->policy);
}

static const struct Section {
        const char *key;
        bool list;
        void (*read)(Reader *r, const TomlNode *t);
} sections[] = {
        { "accept", true, read_accept },
        { "exclude", false, read_exclude },
        { "health", false, read_health },
};

static void read_section(Reader *r, const TomlNode *v, const struct Section *s) {
        if (s->list ? v->type != TOML_ARRAY : v->type != TOML_TABLE) {
                mistake(r, v,
                        s->list ? "must be a list of tables: write [[%s]]" : "must be a table: write [%s]",
                        s->key);
                return;
        }
        if (!s->list) {
                s->read(r, v);
                return;
        }
        for (size_t i = 0; i < v->n; i++) {
                if (i >= MAX_ITEMS || v->items[i].type != TOML_TABLE) {
                        mistake(r, v, "must be a list of at most %d tables: write [[%s]]", MAX_ITEMS, s->key);
                        return;
                }
                s->read(r, &v->items[i]);
        }
}

static void read_top(Reader *r, const TomlNode *root) {
        for (size_t i = 0; i < root->n; i++) {
                const TomlNode *v = &root->items[i];
                Field all[ELEMENTSOF(top_fields) + ELEMENTSOF(sections)] = { 0 };
                size_t s = 0, k = 0;

                while (s < ELEMENTSOF(sections) && strcmp(sections[s].key, v->key) != 0)
                        s++;
                if (s < ELEMENTSOF(sections)) {
                        read_section(r, v, &sections[s]);
                        continue;
                }
                while (k < ELEMENTSOF(top_fields) && strcmp(top_fields[k].key, v->key) != 0)
                        k++;
                if (k < ELEMENTSOF(top_fields)) {
                        read_field(r, v, &top_fields[k], (char *)r->policy + top_fields[k].offset);
                        continue;
                }
                memcpy(all, top_fields, sizeof(top_fields));
                for (size_t x = 0; x < ELEMENTSOF(sections); x++)
                        all[ELEMENTSOF(top_fields) + x].key = sections[x].key;
                unknown(r, v, all, ELEMENTSOF(all));
        }
}

/* 0, also with mistakes; negative: the file can't be read. `optional`: it need not be there. */
static int read_file(Reader *r, const char *path, bool optional, Error *e) {
        const TomlNode *root;
        FileBytes bytes = { 0 };
        Error bad = { 0 };
        struct stat st;
        int q;

        if (stat(path, &st) == 0 && st.st_size == 0)
                return 0; /* it says nothing, which is no mistake */
        q = file_read(path, TOML_MAX, &bytes, e);

        if (q == -ENOENT && optional) {
                if (e)
                        *e = (Error){ 0 };
                return 0;
        }
        if (q < 0)
                return q;
        r->file = arena_strdup(r->policy->arena, path);
        q = toml_parse_text(r->file, bytes.bytes, bytes.size, r->policy->arena, &root, &bad);
        file_release(&bytes);
        if (q < 0) {
                if (!r->mistakes++)
                        r->first = bad;
                if (r->mistake)
                        r->mistake(r->data, bad.text);
                return 0;
        }
        read_top(r, root);
        return 0;
}

static int by_name(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_drop_ins(Reader *r, const char *path, Error *e) {
        char folder[PATH_MAX], file[2 * PATH_MAX];
        const char *names[MAX_DROP_INS];
        struct dirent *d;
        size_t n = 0;
        DIR *dir;
        int q = 0;

        snprintf(folder, sizeof(folder), "%s.d", path);
        dir = opendir(folder);
        if (!dir)
                return errno == ENOENT ? 0 : error_errno(e, -errno, "%s", folder);
        while ((d = readdir(dir))) {
                size_t len = strlen(d->d_name);

                if (d->d_name[0] == '.' || len < 6 || strcmp(d->d_name + len - 5, ".toml") != 0)
                        continue;
                if (n == MAX_DROP_INS) {
                        q = error_set(e, -E2BIG, "%s: more than %d files", folder, MAX_DROP_INS);
                        break;
                }
                names[n++] = arena_strdup(r->policy->arena, d->d_name);
        }
        closedir(dir);
        qsort(names, n, sizeof(*names), by_name);
        for (size_t i = 0; i < n && q == 0; i++) {
                snprintf(file, sizeof(file), "%s/%s", folder, names[i]);
                q = read_file(r, file, false, e);
        }
        return q;
}

static int load(const char *path, Reader *r, Error *e) {
        int q;

        *r->policy = (Policy){ .arena = arena_new(),
                               .mode = PATCH_AUTOMATIC,
                               .deadline_usec = 5000000,
                               .scan_sec = 300,
                               .automatic_rollback = true };
        q = read_file(r, path, true, e);
        return q < 0 ? q : read_drop_ins(r, path, e);
}

int policy_load(const char *path, Policy *out, Error *e) {
        Policy policy;
        Reader r = { .policy = &policy };
        int q = load(path, &r, e);

        if (q == 0 && r.mistakes)
                q = error_set(e, r.first.code, "%s", r.first.text);
        if (q < 0) {
                policy_free(&policy);
                return q;
        }
        *out = policy;
        return 0;
}

int policy_check(const char *path, void (*told)(void *data, const char *text), void *data, Error *e) {
        Policy policy;
        Reader r = { .policy = &policy, .mistake = told, .data = data };
        int q = load(path, &r, e);

        policy_free(&policy);
        return q < 0 ? q : (int)r.mistakes;
}

void policy_free(Policy *p) {
        p->arena = arena_free(p->arena);
}

const char *patch_mode_text(PatchMode m) {
        for (const Word *w = mode_words; w->word; w++)
                if (w->value == (int)m)
                        return w->word;
        return "?";
}

bool policy_excludes(const Policy *p, MatchBy by, const char *subject) {
        for (size_t i = 0; i < p->n_exclude; i++)
                if (p->exclude[i].by == by && fnmatch(p->exclude[i].pattern, subject, 0) == 0)
                        return true;
        return false;
}

void policy_accepted(const Policy *p, const char *package, bool accepted[REFUSAL_N]) {
        for (size_t i = 0; i < p->n_accept; i++)
                if (fnmatch(p->accept[i].package, package, 0) == 0)
                        accepted[p->accept[i].code] = true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/policy.h"
#include "base/file.h"
#include "base/macro.h"
#include "deliver/policy-read.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DROP_INS = 200 };

static const Word mode_words[] = {
        { "automatic", PATCH_AUTOMATIC },     { "AutomaticByPlatform", PATCH_AUTOMATIC },
        { "assess-only", PATCH_ASSESS_ONLY }, { "ImageDefault", PATCH_ASSESS_ONLY },
        { "manual", PATCH_MANUAL },           { NULL, 0 }
};

static const Word package_restart_words[] = { { "allow", 0 }, { "hold", 1 }, { NULL, 0 } };

#define AT(T, member) offsetof(T, member)
typedef struct Accept {
        const char *package, *code;
} Accept;
static const Field accept_fields[] = {
        { "package", FIELD_STRING, AT(Accept, package), 0, 0, NULL, true },
        { "code", FIELD_STRING, AT(Accept, code), 0, 0, NULL, true },
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
        { "unresponsive_after", FIELD_USEC, AT(Policy, unresponsive_usec), 1, 86400, NULL, false },
        { "scan_interval", FIELD_SEC, AT(Policy, scan_sec), 5, 86400, NULL, false },
        { "package_wait", FIELD_SEC, AT(Policy, package_wait_sec), 0, 86400, NULL, false },
        { "package_restarts", FIELD_ENUM, AT(Policy, hold_restarts), 0, 0, package_restart_words, false },
};

static void read_accept(PolicyReader *r, const TomlNode *t) {
        Accept a = { 0 };
        RefusalCode code;

        if (!policy_read_table(r, t, accept_fields, ELEMENTSOF(accept_fields), &a))
                return;
        code = refusal_find(a.code);
        if (code == REFUSAL_N)
                policy_mistake(r, toml_get(t, "code"), "no such code; 'staunch explain' lists them");
        else if (!refusal_acceptable(code))
                policy_mistake(r, toml_get(t, "code"),
                               "cannot be accepted: it is of a process, not of an update");
        else
                *POLICY_GROW(r->policy, accept, PolicyAccept) = (PolicyAccept){ a.package, code };
}

static void read_exclude(PolicyReader *r, const TomlNode *t) {
        struct {
                const char **patterns;
                size_t n;
        } by[MATCH_PATH + 1] = { 0 };

        if (!policy_read_table(r, t, exclude_fields, ELEMENTSOF(exclude_fields), by))
                return;
        for (size_t k = 0; k < ELEMENTSOF(by); k++)
                for (size_t i = 0; i < by[k].n; i++) {
                        const char *pattern = by[k].patterns[i];

                        /* One that can match nothing would leave alone nothing. */
                        if (!*pattern ||
                            ((k == MATCH_PATH || k == MATCH_CGROUP) && !strchr("/*?[", *pattern)))
                                policy_mistake(r, &toml_get(t, exclude_fields[k].key)->items[i],
                                               *pattern ? "begins with '/' or a wildcard: it is a whole path"
                                                        : "is empty");
                        *POLICY_GROW(r->policy, exclude, PolicyMatch) = (PolicyMatch){ (MatchBy)k, pattern };
                }
}

static const struct Section {
        const char *key;
        bool list;
        void (*read)(PolicyReader *r, const TomlNode *t);
        void (*defaults)(Policy *p); /* NULL: none but zeroes */
} sections[] = {
        { "accept", true, read_accept, NULL },
        { "baseline", false, policy_read_baseline, policy_baseline_defaults },
        { "drain", true, policy_read_drain, NULL },
        { "exclude", false, read_exclude, NULL },
        { "health", false, policy_read_health, policy_health_defaults },
        { "hook", true, policy_read_hook, NULL },
        { "metrics", false, policy_read_metrics, NULL },
        { "probe", true, policy_read_probe, NULL },
        { "restart", false, policy_read_restart, policy_restart_defaults },
        { "window", true, policy_read_window, NULL },
};

static void read_section(PolicyReader *r, const TomlNode *v, const struct Section *s) {
        if (s->list ? v->type != TOML_ARRAY : v->type != TOML_TABLE) {
                policy_mistake(r, v,
                               s->list ? "must be a list of tables: write [[%s]]"
                                       : "must be a table: write [%s]",
                               s->key);
                return;
        }
        if (!s->list) {
                s->read(r, v);
                return;
        }
        for (size_t i = 0; i < v->n; i++) {
                if (i >= POLICY_MAX_ITEMS || v->items[i].type != TOML_TABLE) {
                        policy_mistake(r, v, "must be a list of at most %d tables: write [[%s]]",
                                       POLICY_MAX_ITEMS, s->key);
                        return;
                }
                s->read(r, &v->items[i]);
        }
}

static void read_top(PolicyReader *r, const TomlNode *root) {
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
                        policy_read_field(r, v, &top_fields[k], (char *)r->policy + top_fields[k].offset);
                        continue;
                }
                memcpy(all, top_fields, sizeof(top_fields));
                for (size_t x = 0; x < ELEMENTSOF(sections); x++)
                        all[ELEMENTSOF(top_fields) + x].key = sections[x].key;
                policy_unknown(r, v, all, ELEMENTSOF(all));
        }
}

/* 0, also with mistakes; negative: the file can't be read. `optional`: it need not be there. */
static int read_file(PolicyReader *r, const char *path, bool optional, Error *e) {
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

static int read_drop_ins(PolicyReader *r, const char *path, Error *e) {
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

static int load(const char *path, PolicyReader *r, Error *e) {
        int q;

        *r->policy = (Policy){ .arena = arena_new(),
                               .mode = PATCH_AUTOMATIC,
                               .deadline_usec = 5000000,
                               .unresponsive_usec = 60000000,
                               .scan_sec = 300,
                               .package_wait_sec = 600 };
        for (size_t i = 0; i < ELEMENTSOF(sections); i++)
                if (sections[i].defaults)
                        sections[i].defaults(r->policy);
        q = read_file(r, path, true, e);
        return q < 0 ? q : read_drop_ins(r, path, e);
}

int policy_load(const char *path, Policy *out, Error *e) {
        Policy policy;
        PolicyReader r = { .policy = &policy };
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

int policy_check(const char *path, bool here, void (*told)(void *data, const char *text), void *data,
                 Error *e) {
        Policy policy;
        PolicyReader r = { .policy = &policy, .mistake = told, .data = data, .here = here };
        int q = load(path, &r, e);

        policy_free(&policy);
        return q < 0 ? q : (int)r.mistakes;
}

bool policy_is_there(const char *path) {
        char folder[PATH_MAX];

        snprintf(folder, sizeof(folder), "%s.d", path);
        return access(path, F_OK) == 0 || access(folder, F_OK) == 0;
}

void policy_free(Policy *p) {
        p->arena = arena_free(p->arena);
}

const char *patch_mode_text(PatchMode m) {
        return policy_word(mode_words, (int)m);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/dpkg.h"
#include "base/command.h"
#include "base/macro.h"
#include "base/vec.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { LINE = 16384, NAME = 256, FIELDS = 16 };

typedef VEC(DpkgPackage) PackageVec;
typedef VEC(DpkgChange) ChangeVec;

bool dpkg_is_name(const char *s) {
        size_t n = strlen(s);

        if (n == 0 || n >= NAME || s[0] == '-' || s[0] == '.')
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr("+-.:~_", *s))
                        return false;
        return true;
}

const char *dpkg_file_name(Arena *a, const char *name, const char *version, const char *arch) {
        const char *colon = strchr(version, ':');

        return colon ? arena_printf(a, "%s_%.*s%%3a%s_%s.deb", name, (int)(colon - version), version,
                                    colon + 1, arch)
                     : arena_printf(a, "%s_%s_%s.deb", name, version, arch);
}

/* Cuts `line` at each `by`; how many parts there are. */
static size_t split(char *line, char by, char *parts[FIELDS]) {
        size_t n = 0;

        while (n < FIELDS) {
                parts[n++] = line;
                line = strchr(line, by);
                if (!line)
                        break;
                *line++ = 0;
        }
        return n;
}

int dpkg_installed(Arena *a, DpkgPackage **out, size_t *n, Error *e) {
        static const char *const argv[] = {
                "dpkg-query", "--show", "--showformat",
                "${Package}\\t${Architecture}\\t${Version}\\t${db:Status-Status}\\n", NULL
        };
        CommandResult result;
        int r = command_must(&(Command){ .argv = argv, .output_max = 64 << 20 }, &result, e);
        _cleanup_(freep) char *text = r == 0 ? result.output : NULL;
        PackageVec v = { 0 };
        char *save = NULL;

        if (r < 0)
                return r;
        for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
             line = strtok_r(NULL, "\n", &save)) {
                char *f[FIELDS];

                if (split(line, '\t', f) != 4 || v.n == DPKG_MAX_PACKAGES) {
                        vec_free(&v);
                        return error_set(e, -EPROTO, "dpkg-query: a line is not as it was asked for");
                }
                if (strcmp(f[3], "not-installed") == 0 || strcmp(f[3], "config-files") == 0)
                        continue;
                vec_push(&v, (DpkgPackage){ arena_strdup(a, f[0]), arena_strdup(a, f[1]),
                                            arena_strdup(a, f[2]), arena_strdup(a, f[3]) });
        }
        *out = arena_dup(a, v.items, v.n * sizeof(*v.items));
        *n = v.n;
        vec_free(&v);
        return 0;
}

const DpkgPackage *dpkg_find(const DpkgPackage *all, size_t n, const char *name, const char *arch) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(all[i].name, name) == 0 && strcmp(all[i].arch, arch) == 0)
                        return &all[i];
        return NULL;
}

/* "name old arch multiarch < new arch multiarch file". 1: it is one; 0: a line of no interest. */
static int read_change(char *line, Arena *a, DpkgChange *out) {
        char *f[FIELDS];
        bool none_old, none_new;
        const char *arch;

        /* The file is last, and may have blanks. */
        for (size_t i = 0; i < 8; i++) {
                f[i] = line;
                line = strchr(line, ' ');
                if (!line)
                        return -EPROTO;
                *line++ = 0;
        }
        f[8] = line;
        none_old = strcmp(f[1], "-") == 0;
        none_new = strcmp(f[5], "-") == 0;
        arch = none_old ? f[6] : f[2];
        if (!dpkg_is_name(f[0]) || !dpkg_is_name(arch) || (!none_old && !dpkg_is_name(f[1])) ||
            (!none_new && !dpkg_is_name(f[5])) || !f[4][0] || f[4][1] || !strchr("<>=", f[4][0]))
                return -EPROTO;
        if (strcmp(f[8], "**CONFIGURE**") == 0 || (none_old && none_new))
                return 0;
        if (strcmp(f[8], "**REMOVE**") != 0 && f[8][0] != '/')
                return -EPROTO;
        *out = (DpkgChange){ .name = arena_strdup(a, f[0]),
                             .arch = arena_strdup(a, arch),
                             .old_version = arena_strdup(a, none_old ? "" : f[1]),
                             .new_version = f[8][0] == '/' && !none_new ? arena_strdup(a, f[5]) : "",
                             .file = f[8][0] == '/' ? arena_strdup(a, f[8]) : "" };
        return 1;
}

int dpkg_read_changes(FILE *f, Arena *a, DpkgChange **out, size_t *n, Error *e) {
        ChangeVec v = { 0 };
        char line[LINE];
        bool first = true, configuration = true;
        unsigned number = 0;
        int r = 0;

        while (r >= 0 && fgets(line, sizeof(line), f)) {
                size_t len = strlen(line);
                DpkgChange c;

                number++;
                if (len == 0 || line[len - 1] != '\n') {
                        r = error_set(e, -EPROTO, "apt: line %u is longer than %d bytes, or cut off", number,
                                      LINE - 1);
                        break;
                }
                line[len - 1] = 0;
                if (first) {
                        if (strcmp(line, "VERSION 3") != 0)
                                r = error_set(e, -EPROTO, "apt: not version 3 of the protocol");
                        first = false;
                        continue;
                }
                if (configuration) { /* up to an empty line */
                        configuration = line[0] != 0;
                        continue;
                }
                r = read_change(line, a, &c);
                if (r < 0)
                        error_set(e, r, "apt: line %u is not a package's", number);
                for (size_t i = 0; r == 1 && i < v.n; i++)
                        if (strcmp(v.items[i].name, c.name) == 0 && strcmp(v.items[i].arch, c.arch) == 0)
                                r = 0;
                if (r == 1 && v.n == DPKG_MAX_PACKAGES)
                        r = error_set(e, -E2BIG, "apt: more than %d packages", DPKG_MAX_PACKAGES);
                if (r == 1)
                        vec_push(&v, c);
        }
        if (r >= 0 && (first || configuration))
                r = error_set(e, -EPROTO, "apt: what it said ends too early");
        if (r >= 0) {
                *out = arena_dup(a, v.items, v.n * sizeof(*v.items));
                *n = v.n;
                r = 0;
        }
        vec_free(&v);
        return r;
}

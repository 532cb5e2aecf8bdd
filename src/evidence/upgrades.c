/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/upgrades.h"
#include "base/command.h"
#include "base/macro.h"
#include "base/vec.h"
#include "evidence/version.h"

#include <errno.h>
#include <string.h>

/* The next word, which ends at one of `ends`; false: there is none. */
static bool word(const char **at, const char *end, const char *ends, Arena *a, const char **out) {
        const char *from;

        while (*at < end && **at == ' ')
                ++*at;
        from = *at;
        while (*at < end && !memchr(ends, **at, strlen(ends)))
                ++*at;
        *out = arena_printf(a, "%.*s", (int)(*at - from), from);
        return **out && *at - from < 512; /* nothing, too, is what a NUL makes of a word */
}

static bool skip(const char **at, const char *end, char c) {
        while (*at < end && **at == ' ')
                ++*at;
        if (*at >= end || **at != c)
                return false;
        ++*at;
        return true;
}

/* "Inst libssl3:i386 [3.0.20-1] (3.0.22-1 Debian-Security:12/stable-security [i386]) []" */
static bool read_line(const char *line, size_t n, Arena *a, Upgrade *out) {
        const char *at = line + 5, *end = line + n, *open;
        char *colon;

        if (n < 6 || memcmp(line, "Inst ", 5) != 0 || !word(&at, end, " ", a, &out->name) ||
            !skip(&at, end, '[') || !word(&at, end, "] ", a, &out->old) || !skip(&at, end, ']') ||
            !skip(&at, end, '(') || !word(&at, end, " )", a, &out->new))
                return false;
        open = memchr(at, '[', (size_t)(end - at));
        if (!open)
                return false;
        at = open + 1;
        if (!word(&at, end, "]) ", a, &out->arch) || !version_valid(out->old) || !version_valid(out->new))
                return false;
        colon = strchr(out->name, ':');
        if (colon)
                out->name = arena_printf(a, "%.*s", (int)(colon - out->name), out->name);
        return *out->name;
}

int upgrades_parse(const char *text, size_t size, Arena *a, Upgrades *out, Error *e) {
        VEC(Upgrade) list = { 0 };
        const char *end = text + size;

        for (const char *at = text; at < end && list.n <= UPGRADES_MAX_PACKAGES;) {
                const char *newline = memchr(at, '\n', (size_t)(end - at));
                size_t n = (size_t)((newline ? newline : end) - at);
                Upgrade u = { 0 };

                if (read_line(at, n, a, &u))
                        vec_push(&list, u);
                at += n + 1;
        }
        *out = (Upgrades){ .n = list.n };
        if (list.n)
                out->items = arena_dup(a, list.items, list.n * sizeof(*list.items));
        vec_free(&list);
        return out->n > UPGRADES_MAX_PACKAGES
                       ? error_set(e, -E2BIG, "apt-get names more packages than there are")
                       : 0;
}

enum { MAX_WORDS = 24 };

/* Runs apt-get with its files below the root. `words` end with NULL. */
static int apt(const char *root, const char *const *before, const char *const *words, Arena *a,
               CommandResult *out, Error *e) {
        static const char *const environment[] = { "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", NULL };
        const char *argv[MAX_WORDS];
        size_t n = 0;

        for (; before && *before; before++)
                argv[n++] = *before;
        argv[n++] = "apt-get";
        if (root && strcmp(root, "/") != 0) {
                argv[n++] = "-o";
                argv[n++] = arena_printf(a, "Dir=%s", root);
                argv[n++] = "-o";
                argv[n++] = arena_printf(a, "Dir::State::status=%s/var/lib/dpkg/status", root);
        }
        for (; *words; words++)
                argv[n++] = *words;
        argv[n] = NULL;
        return command_must(
                &(Command){ .argv = argv, .environment = environment, .output_max = UPGRADES_MAX }, out, e);
}

int upgrades_read(const char *root, Arena *a, Upgrades *out, Error *e) {
        const char *const words[] = { "-q",      "-s", "-o", "Debug::NoLocking=1", "--with-new-pkgs",
                                      "upgrade", NULL };
        CommandResult result = { 0 };
        int r = apt(root, NULL, words, a, &result, e);

        if (r == 0)
                r = upgrades_parse(result.output, result.n, a, out, e);
        command_result_free(&result);
        return r;
}

/* "openssl_1%3a3.0.22-1_amd64.deb", as apt names it. */
static const char *file_name(const Upgrade *u, Arena *a) {
        const char *colon = strchr(u->new, ':');

        if (!colon)
                return arena_printf(a, "%s_%s_%s.deb", u->name, u->new, u->arch);
        return arena_printf(a, "%s_%.*s%%3a%s_%s.deb", u->name, (int)(colon - u->new), u->new, colon + 1,
                            u->arch);
}

int upgrades_package(const char *root, const Upgrade *u, const char *folder, Arena *a, const char **out,
                     Error *e) {
        const char *name = file_name(u, a),
                   *path = arena_printf(a, "%s/var/cache/apt/archives/%s", root ? root : "", name);

        if (access(path, R_OK) < 0 && folder) {
                const char *const before[] = { "env", "-C", folder, NULL };
                const char *const words[] = { "-q", "download",
                                              arena_printf(a, "%s:%s=%s", u->name, u->arch, u->new), NULL };
                CommandResult result = { 0 };
                int r = apt(root, before, words, a, &result, e);

                command_result_free(&result);
                if (r < 0)
                        return r;
                path = arena_printf(a, "%s/%s", folder, name);
        }
        if (access(path, R_OK) < 0)
                return folder ? error_errno(e, -errno, "%s", path) : -ENOENT;
        *out = path;
        return 0;
}

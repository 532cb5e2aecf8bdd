/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/restore.h"
#include "base/command.h"
#include "base/macro.h"
#include "base/vec.h"
#include "snapshot/keep.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { FIXED = 32, APT_OUTPUT = 64 << 20 };

/* No questions; no restarts of units by others, nor a snapshot of the rollback itself. */
static const char *const environment[] = { "LC_ALL=C",
                                           "DEBIAN_FRONTEND=noninteractive",
                                           "NEEDRESTART_SUSPEND=1",
                                           "APT_LISTCHANGES_FRONTEND=none",
                                           "STAUNCH_ROLLBACK=1",
                                           NULL };

typedef struct Gather {
        const SnapshotContext *c;
        int64_t baseline, change;
        Arena *arena;
        VEC(StorePackage) packages;
        VEC(int64_t) changes;
        Error error;
} Gather;

static void note_change(void *data, const StoreChange *a) {
        Gather *g = data;

        if (g->baseline ? a->baseline == g->baseline : a->id >= g->change)
                vec_push(&g->changes, a->id);
}

/* The oldest change of a package counts: it comes first. */
static void note_package(void *data, const StorePackage *p) {
        Gather *g = data;
        StorePackage mine = *p;
        bool wanted = false;

        for (size_t i = 0; i < g->changes.n; i++)
                wanted |= g->changes.items[i] == p->change;
        for (size_t i = 0; wanted && i < g->packages.n; i++)
                wanted = strcmp(g->packages.items[i].name, p->name) != 0 ||
                         strcmp(g->packages.items[i].arch, p->arch) != 0;
        if (!wanted)
                return;
        mine.name = arena_strdup(g->arena, p->name);
        mine.arch = arena_strdup(g->arena, p->arch);
        mine.old_version = arena_strdup(g->arena, p->old_version);
        mine.new_version = arena_strdup(g->arena, p->new_version);
        mine.file = arena_strdup(g->arena, p->file);
        mine.sha256 = arena_strdup(g->arena, p->sha256);
        vec_push(&g->packages, mine);
}

static int by_name(const void *a, const void *b) {
        return strcmp(((const RestorePackage *)a)->name, ((const RestorePackage *)b)->name);
}

static bool is_done(const RestorePackage *p, const DpkgPackage *have) {
        return p->version[0] ? have && strcmp(have->status, "installed") == 0 &&
                                       strcmp(have->version, p->version) == 0
                             : !have;
}

static int look(Restore *r, Error *e) {
        DpkgPackage *have = NULL;
        size_t n = 0;
        int q = dpkg_installed(r->arena, &have, &n, e);

        if (q < 0)
                return q;
        r->left = 0;
        for (size_t i = 0; i < r->n; i++) {
                RestorePackage *p = &r->packages[i];
                const DpkgPackage *now = dpkg_find(have, n, p->name, p->arch);

                p->from = now ? now->version : "";
                p->done = is_done(p, now);
                r->left += !p->done;
        }
        return 0;
}

int restore_plan(const SnapshotContext *c, Store *s, int64_t baseline, int64_t change, Restore *out,
                 Error *e) {
        Gather g = { .c = c, .baseline = baseline, .change = change, .arena = arena_new() };
        Restore plan = { .arena = g.arena };
        int r = store_each_change(s, note_change, &g, e);

        if (r == 0 && !g.changes.n)
                r = error_set(e, -ENOENT, "no change of packages is known that could be taken back");
        if (r == 0)
                r = store_each_package(s, 0, note_package, &g, e);
        plan.packages = arena_newa(g.arena, RestorePackage, g.packages.n);
        for (size_t i = 0; r == 0 && i < g.packages.n; i++) {
                const StorePackage *p = &g.packages.items[i];

                if (!dpkg_is_name(p->name) || !dpkg_is_name(p->arch))
                        r = error_set(e, -EINVAL, "'%s:%s' is no package's name", p->name, p->arch);
                else if (p->old_version[0])
                        r = keep_check(c, p, e);
                plan.packages[plan.n++] =
                        (RestorePackage){ p->name,
                                          p->arch,
                                          "",
                                          p->old_version,
                                          p->old_version[0] ? keep_path(c, g.arena, p->file) : "",
                                          false };
        }
        if (plan.n)
                qsort(plan.packages, plan.n, sizeof(*plan.packages), by_name);
        if (r == 0)
                r = look(&plan, e);
        vec_free(&g.packages);
        vec_free(&g.changes);
        if (r < 0)
                arena_free(g.arena);
        else
                *out = plan;
        return r;
}

void restore_free(Restore *r) {
        r->arena = arena_free(r->arena);
}

static const char **apt_argv(const Restore *r, bool simulate) {
        const char *const fixed[] = { "apt-get",
                                      simulate ? "--simulate" : "--yes",
                                      "--quiet=2",
                                      "--allow-downgrades",
                                      "--allow-change-held-packages",
                                      "--no-install-recommends",
                                      "--no-remove",
                                      "-oAPT::Get::AutomaticRemove=false",
                                      "-oAPT::Cmd::Disable-Script-Warning=true",
                                      "-oDPkg::Use-Pty=false",
                                      "-oDPkg::Lock::Timeout=600",
                                      "-oDPkg::Options::=--force-confold",
                                      "install" };
        const char **argv = arena_newa(r->arena, const char *, r->n + FIXED);
        bool removes = false;
        size_t n = 0;

        for (size_t i = 0; i < r->n; i++)
                removes |= !r->packages[i].done && !r->packages[i].version[0];
        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                if (!removes || strcmp(fixed[i], "--no-remove") != 0)
                        argv[n++] = fixed[i];
        for (size_t i = 0; i < r->n; i++) {
                const RestorePackage *p = &r->packages[i];

                if (!p->done)
                        argv[n++] = p->version[0]
                                            ? p->path
                                            : arena_printf(r->arena, "%s:%s-", p->name,
                                                           strcmp(p->arch, "all") == 0 ? "any" : p->arch);
        }
        return argv;
}

/* The package of "Inst NAME[:ARCH]", "Conf ..." or "Remv ..." when that is what the plan says; NULL: it
 * isn't. */
static RestorePackage *planned(const Restore *r, const char *word, bool removes) {
        size_t n = strcspn(word, ": \n");

        for (size_t i = 0; i < r->n; i++) {
                RestorePackage *p = &r->packages[i];

                if (strlen(p->name) == n && strncmp(p->name, word, n) == 0 && !p->done &&
                    removes == !p->version[0] &&
                    (word[n] != ':' || strncmp(p->arch, word + n + 1, strlen(p->arch)) == 0))
                        return p;
        }
        return NULL;
}

int restore_verify(const Restore *r, Error *e) {
        CommandResult out;
        char *save = NULL;
        bool *seen;
        int q;

        if (!r->left)
                return 0;
        q = command_must(
                &(Command){ .argv = apt_argv(r, true), .environment = environment, .output_max = APT_OUTPUT },
                &out, e);
        if (q < 0)
                return q;
        seen = arena_newa(r->arena, bool, r->n);
        for (char *line = out.output ? strtok_r(out.output, "\n", &save) : NULL; q == 0 && line;
             line = strtok_r(NULL, "\n", &save)) {
                bool removes = strncmp(line, "Remv ", 5) == 0 || strncmp(line, "Purg ", 5) == 0;
                bool configures = strncmp(line, "Conf ", 5) == 0; /* alone, when it is unpacked already */
                const RestorePackage *p;

                if (!removes && !configures && strncmp(line, "Inst ", 5) != 0)
                        continue;
                p = planned(r, line + 5, removes);
                if (p)
                        seen[p - r->packages] = true;
                else if (!configures)
                        q = error_set(e, -EXDEV, "apt would also %s %.*s, which was not part of the change",
                                      removes ? "remove" : "change", (int)strcspn(line + 5, " "), line + 5);
        }
        command_result_free(&out);
        for (size_t i = 0; q == 0 && i < r->n; i++)
                if (!r->packages[i].done && !seen[i])
                        q = error_set(e, -EXDEV, "apt would leave %s as it is", r->packages[i].name);
        return q;
}

/* What a power cut left half done, dpkg can finish: it has what it needs. */
static int finish_begun(Error *e) {
        static const char *const audit[] = { "dpkg", "--audit", NULL };
        static const char *const configure[] = { "dpkg", "--force-confold", "--configure", "--pending",
                                                 NULL };
        CommandResult out;
        int r = command_run(&(Command){ .argv = audit, .environment = environment }, &out, e);
        bool begun = r == 0 && (out.code != 0 || out.n);

        if (r < 0)
                return r;
        command_result_free(&out);
        if (!begun)
                return 0;
        /* What stays broken is unpacked again below; that is where an error would show. */
        r = command_run(&(Command){ .argv = configure, .environment = environment, .output_max = APT_OUTPUT },
                        &out, e);
        if (r == 0)
                command_result_free(&out);
        return r;
}

int restore_run(const SnapshotContext *c, Restore *r, Error *e) {
        CommandResult out;
        int q = finish_begun(e);

        (void)c;
        if (q == 0)
                q = look(r, e);
        if (q < 0 || !r->left)
                return q;
        q = restore_verify(r, e);
        if (q == 0)
                q = command_must(&(Command){ .argv = apt_argv(r, false),
                                             .environment = environment,
                                             .output_max = APT_OUTPUT },
                                 &out, e);
        if (q < 0)
                return q;
        command_result_free(&out);
        q = look(r, e);
        for (size_t i = 0; q == 0 && i < r->n; i++)
                if (!r->packages[i].done)
                        q = error_set(e, -EIO, "%s is %s%s after apt had succeeded", r->packages[i].name,
                                      r->packages[i].from[0] ? r->packages[i].from : "not installed",
                                      r->packages[i].version[0] ? "" : ", and was to be removed");
        return q;
}

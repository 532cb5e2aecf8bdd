/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/builds.h"
#include "base/macro.h"
#include "base/vec.h"
#include "evidence/dpkglog.h"
#include "evidence/read.h"
#include "evidence/version.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

const char *build_witness_text(BuildWitness w) {
        static const char *const text[] = { "none", "installed", "recorded", "dpkg-log", "changelog-date" };

        return text[w];
}

int builds_open(const char *root, Builds *out, Error *e) {
        Builds b = { .arena = arena_new() };
        size_t n = root ? strlen(root) : 0;
        int r;

        while (n && root[n - 1] == '/')
                n--;
        b.root = arena_printf(b.arena, "%.*s", (int)n, root ? root : "");
        r = dpkg_open(b.root, &b.dpkg, e);
        if (r < 0) {
                arena_free(b.arena);
                return r;
        }
        *out = b;
        return 0;
}

void builds_close(Builds *b) {
        dpkg_close(&b->dpkg);
        free(TAKE_PTR(b->items));
        free(TAKE_PTR(b->known));
        b->arena = arena_free(b->arena);
}

static void keep_known(void *data, const StoreBuild *row) {
        Builds *b = data;

        if (b->n_known == b->known_room) {
                b->known_room = b->known_room ? b->known_room * 2 : 64;
                b->known = vec_grow(b->known, b->known_room, sizeof(*b->known));
        }
        b->known[b->n_known++] = (StoreBuild){
                .id = arena_strdup(b->arena, row->id),
                .path = arena_strdup(b->arena, row->path),
                .package = arena_strdup(b->arena, row->package),
                .arch = arena_strdup(b->arena, row->arch),
                .version = arena_strdup(b->arena, row->version),
                .source = arena_strdup(b->arena, row->source),
                .source_version = arena_strdup(b->arena, row->source_version),
                .first_usec = row->first_usec,
                .last_usec = row->last_usec,
        };
}

int builds_recall(Builds *b, Store *store, Error *e) {
        return store_each_build(store, keep_known, b, e);
}

/* Where the process's files are, as it sees them. */
static const ProcessRoot *root_of(Builds *b, const Process *p) {
        struct stat ours, its;
        ProcessRoot *r = &b->last;
        char name[64];
        ssize_t n;

        if (r->pid == p->pid && r->start_time == p->start_time)
                return r;
        *r = (ProcessRoot){ .pid = p->pid, .start_time = p->start_time };
        snprintf(name, sizeof(name), "/proc/%d/root", p->pid);
        r->ours = stat("/", &ours) == 0 && stat(name, &its) == 0 && ours.st_dev == its.st_dev &&
                  ours.st_ino == its.st_ino;
        r->our_mounts = stat("/proc/self/ns/mnt", &ours) == 0 && ours.st_ino == p->mount_ns;
        n = readlink(name, r->path, sizeof(r->path) - 1);
        r->path[n < 0 ? 0 : n] = 0;
        return r;
}

/* What is below the folder; NULL: it is not below it, or the folder is "/". */
static const char *below(const char *path, const char *folder) {
        size_t n = strlen(folder);

        return n > 1 && strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n : NULL;
}

const char *builds_path(Builds *b, const Process *p, const char *path, const FileId *now) {
        const ProcessRoot *r;
        const char *inside;
        struct stat st;

        if (*b->root)
                return below(path, b->root);
        r = root_of(b, p);
        if (r->ours && (r->our_mounts || !now->inode))
                return path;
        inside = below(path, r->path);
        if (!now->inode) /* mapped before it went into its root folder */
                return r->our_mounts && *r->path && !inside ? path : NULL;
        if (inside)
                path = inside;
        return stat(path, &st) == 0 && st.st_dev == now->dev && st.st_ino == now->inode ? path : NULL;
}

static Build *new_build(Builds *b, const char *path, const BuildId *id, bool on_disk) {
        Build *build = arena_new0(b->arena, Build);

        *build = (Build){ .id = *id, .path = arena_strdup(b->arena, path), .on_disk = on_disk, .why = "" };
        if (b->n == b->room) {
                b->room = b->room ? b->room * 2 : 64;
                b->items = vec_grow(b->items, b->room, sizeof(Build *));
        }
        b->items[b->n++] = build;
        return build;
}

Build *builds_current(Builds *b, const Process *p, const char *path, int fd) {
        const char *ours;
        BuildId id = { 0 };
        struct stat st;
        Build *build;

        if (fstat(fd, &st) < 0)
                return NULL;
        ours = builds_path(b, p, path, &(FileId){ st.st_dev, st.st_ino });
        if (!ours)
                return NULL;
        for (size_t i = 0; i < b->n; i++)
                if (b->items[i]->inode == st.st_ino && b->items[i]->dev == st.st_dev &&
                    b->items[i]->on_disk && strcmp(b->items[i]->path, ours) == 0)
                        return b->items[i];
        if (image_build_id_fd(fd, path, &id, NULL) != 0)
                return NULL;
        build = new_build(b, ours, &id, true);
        build->dev = st.st_dev;
        build->inode = st.st_ino;
        return build;
}

/* When the file was written and when it came to be here. A file system that copies a file when it is written
 * to gives the copy a new birth. */
void build_read_times(Build *build, int fd) {
        struct statfs fs;
        struct statx st;

        if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MTIME | STATX_BTIME, &st) < 0)
                return;
        build->modified_sec = st.stx_mtime.tv_sec;
        if ((st.stx_mask & STATX_BTIME) && fstatfs(fd, &fs) == 0 && fs.f_type != OVERLAYFS_SUPER_MAGIC)
                build->birth_sec = st.stx_btime.tv_sec;
}

Build *builds_add(Builds *b, const char *path, const BuildId *id, bool on_disk, int fd) {
        struct stat st;
        Build *build;

        for (size_t i = 0; i < b->n; i++)
                if (b->items[i]->on_disk == on_disk && build_id_equal(&b->items[i]->id, id) &&
                    strcmp(b->items[i]->path, path) == 0)
                        return b->items[i];
        build = new_build(b, path, id, on_disk);
        if (!on_disk)
                build_read_times(build, fd);
        else if (fd >= 0 && fstat(fd, &st) == 0) {
                build->dev = st.st_dev;
                build->inode = st.st_ino;
        }
        return build;
}

static void take_version(Build *to, const char *package, const char *arch, const char *version,
                         const char *source, const char *source_version, BuildWitness witness) {
        to->package = package;
        to->arch = arch;
        to->version = version;
        to->source = source;
        to->source_version = source_version;
        to->witness = witness;
}

/* The newest recorded version with this build at this path: a build that was shipped unchanged in several
 * versions has the code of each of them. With `version`: that version only. */
static const StoreBuild *recorded(const Builds *b, const char *path, const BuildId *id, const char *version) {
        const StoreBuild *found = NULL;
        char text[2 * BUILD_ID_MAX + 1];

        if (!id->n)
                return NULL;
        build_id_text(id, text);
        for (size_t i = 0; i < b->n_known; i++) {
                const StoreBuild *k = &b->known[i];

                if (strcmp(k->id, text) == 0 && strcmp(k->path, path) == 0 &&
                    (!version || strcmp(k->version, version) == 0) &&
                    (!found || version_compare(k->version, found->version) > 0))
                        found = k;
        }
        return found;
}

/* Is it still what was looked at? */
static bool is_file_of(const Build *build, int fd) {
        BuildId id = { 0 };
        struct stat st;

        if (build->id.n)
                return image_build_id_fd(fd, build->path, &id, NULL) == 0 && build_id_equal(&id, &build->id);
        return fstat(fd, &st) == 0 && st.st_dev == build->dev && st.st_ino == build->inode;
}

static void identify_current(Builds *b, Build *build) {
        Package *p = build->owner;
        _cleanup_(closep) int fd = -1;
        DpkgCheck check = DPKG_SAME;

        if (!p) {
                build->why = "no package, or more than one, has a file at this path";
                return;
        }
        if (!recorded(b, build->path, &build->id, p->version)) {
                fd = root_open_path(b->dpkg.root, build->path, NULL);
                if (fd < 0 || !is_file_of(build, fd)) {
                        build->why = "the file was replaced while it was looked at";
                        return;
                }
                check = dpkg_check(&b->dpkg, p, build->path, fd);
        }
        if (check == DPKG_DIFFERS)
                build->why = "the file is not the one that its package brought";
        else
                take_version(build, p->name, p->arch, p->version, p->source, p->source_version,
                             WITNESS_INSTALLED);
}

/* The source's version that a binary's version is of, when the changelog has it. */
static const ChangelogEntry *entry_of(const Builds *b, Package *p, const char *version) {
        const Changelog *c = dpkg_changelog(&b->dpkg, p);
        size_t n = version_source_length(version);

        for (size_t i = 0; i < c->n; i++)
                if (strlen(c->entries[i].version) == n && strncmp(c->entries[i].version, version, n) == 0)
                        return &c->entries[i];
        return NULL;
}

/* The one entry of the changelog with this date; NULL: none, or several. */
static const ChangelogEntry *entry_dated(const Builds *b, Package *p, int64_t time_sec) {
        const Changelog *c = dpkg_changelog(&b->dpkg, p);
        const ChangelogEntry *found = NULL;

        for (size_t i = 0; time_sec && i < c->n; i++)
                if (c->entries[i].time_sec == time_sec) {
                        if (found)
                                return NULL;
                        found = &c->entries[i];
                }
        return found;
}

static void identify_replaced(Builds *b, const DpkgLog *log, Build *build) {
        const StoreBuild *k = recorded(b, build->path, &build->id, NULL);
        const ChangelogEntry *logged = NULL, *dated;
        const char *version = NULL;
        Package *p = build->owner;

        if (k) {
                take_version(build, k->package, k->arch, k->version, k->source, k->source_version,
                             WITNESS_RECORDED);
                return;
        }
        if (!p) {
                build->why = "it was not seen before it was replaced, and no package has its path now";
                return;
        }
        build->why = "it was not seen before it was replaced, and its file does not tell";
        if (!dpkg_source_version(p, p->version, b->arena))
                return;
        if (build->birth_sec)
                version = dpkglog_at(log, p->name, p->arch, build->birth_sec);
        if (version)
                logged = entry_of(b, p, version);
        dated = entry_dated(b, p, build->modified_sec);
        if ((version && !logged) || (logged && dated && logged != dated) ||
            ((logged || dated) && strcmp(version ? version : dated->version, p->version) == 0)) {
                build->why = "what dpkg's log, the file's date and the package's version say does not agree";
                return;
        }
        if (!logged && !dated)
                return;
        build->why = "";
        take_version(build, p->name, p->arch, version ? version : dated->version, p->source,
                     (logged ? logged : dated)->version, version ? WITNESS_LOG : WITNESS_DATE);
}

int builds_identify(Builds *b, Error *e) {
        const char **paths = arena_newa(b->arena, const char *, b->n);
        Package **owners = arena_newa(b->arena, Package *, b->n);
        DpkgLog log = { 0 };
        bool to_tell = false; /* of something that only the log may tell of, which takes long to read */
        int r;

        for (size_t i = 0; i < b->n; i++)
                paths[i] = b->items[i]->path;
        r = dpkg_read(&b->dpkg, e);
        if (r == 0)
                r = dpkg_owners(&b->dpkg, paths, b->n, owners, e);
        for (size_t i = 0; r == 0 && i < b->n; i++) {
                const Build *build = b->items[i];

                to_tell |= !build->on_disk && build->birth_sec && owners[i] &&
                           !recorded(b, build->path, &build->id, NULL);
        }
        if (r == 0 && to_tell)
                r = dpkglog_read(b->dpkg.root, b->arena, &log, e);
        for (size_t i = 0; r == 0 && i < b->n; i++) {
                b->items[i]->owner = owners[i];
                if (b->items[i]->on_disk)
                        identify_current(b, b->items[i]);
                else
                        identify_replaced(b, &log, b->items[i]);
        }
        return r;
}

bool builds_unowned(const Builds *b, Store *store, const char *path) {
        return store && b->dpkg.status_usec && store_is_unowned(store, path, b->dpkg.status_usec, NULL) == 1;
}

void builds_keep_unowned(const Builds *b, Store *store) {
        bool begun = false;

        for (size_t i = 0; i < b->n; i++)
                if (store && b->dpkg.status_usec && !b->items[i]->owner &&
                    !builds_unowned(b, store, b->items[i]->path)) {
                        begun = begun || store_begin(store, NULL) == 0;
                        store_put_unowned(store, b->items[i]->path, b->dpkg.status_usec, NULL);
                }
        if (!begun)
                return;
        store_prune_unowned(store, b->dpkg.status_usec, NULL);
        store_end(store, true, NULL);
}

const Build *builds_find(Builds *b, const char *path, const BuildId *id) {
        const StoreBuild *k;
        Build *build;

        for (int on_disk = 1; on_disk >= 0; on_disk--)
                for (size_t i = 0; i < b->n; i++)
                        if (b->items[i]->on_disk == on_disk && build_id_equal(&b->items[i]->id, id) &&
                            strcmp(b->items[i]->path, path) == 0)
                                return b->items[i];
        k = recorded(b, path, id, NULL);
        if (!k)
                return NULL;
        build = new_build(b, path, id, false);
        take_version(build, k->package, k->arch, k->version, k->source, k->source_version, WITNESS_RECORDED);
        return build;
}

/* How often it is written down that a build is still run. */
#define SEEN_USEC (UINT64_C(86400) * 1000000)

static bool is_fresh(const Builds *b, const StoreBuild *k, uint64_t now_usec) {
        return k && k->last_usec >= b->dpkg.status_usec && now_usec - k->last_usec < SEEN_USEC;
}

/* Nothing is new, and dpkg changed nothing since it was last looked at. */
static bool is_settled(const Builds *b, Store *store, uint64_t now_usec) {
        for (size_t i = 0; i < b->n; i++)
                if (!is_fresh(b, recorded(b, b->items[i]->path, &b->items[i]->id, NULL), now_usec) &&
                    !builds_unowned(b, store, b->items[i]->path))
                        return false;
        return true;
}

static int record_one(const Builds *b, const Build *build, Store *store, uint64_t now_usec, Error *e) {
        char id[2 * BUILD_ID_MAX + 1];

        if (!build->id.n || !build->version ||
            is_fresh(b, recorded(b, build->path, &build->id, build->version), now_usec))
                return 0;
        if (!build->on_disk && build->witness != WITNESS_RECORDED)
                return 0; /* a conclusion, which can be drawn again; not something that was seen */
        build_id_text(&build->id, id);
        return store_put_build(store,
                               &(StoreBuild){ id, build->path, build->package, build->arch, build->version,
                                              build->source, build->source_version, now_usec, now_usec },
                               e);
}

int builds_record(Builds *b, const Outdated *outdated, Store *store, uint64_t now_usec, Error *e) {
        int r = builds_recall(b, store, e);

        for (size_t i = 0; i < outdated->n_processes; i++)
                for (size_t k = 0; k < outdated->processes[i].n; k++) {
                        const OutdatedImage *image = &outdated->processes[i].images[k];
                        const char *path =
                                builds_path(b, &outdated->processes[i].process, image->path, &image->now);

                        if (path && image->pair != SIZE_MAX) {
                                builds_add(b, path, &image->old_id, false, -1);
                                builds_add(b, path, &image->new_id, true, -1);
                        }
                }
        if (r < 0 || is_settled(b, store, now_usec))
                return r;
        r = builds_identify(b, e);
        if (r == 0) {
                builds_keep_unowned(b, store);
                r = store_begin(store, e);
        }
        if (r < 0)
                return r;
        for (size_t i = 0; r == 0 && i < b->n; i++)
                r = record_one(b, b->items[i], store, now_usec, e);
        if (r == 0)
                return store_end(store, true, e);
        store_end(store, false, NULL);
        return r;
}

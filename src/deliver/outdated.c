/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/outdated.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/loaded.h"
#include "proc/maps.h"
#include "proc/task.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Where the paths of a process's mappings start: its root, as this process sees it. */
typedef struct Root {
        int fd; /* O_PATH */
        pid_t pid;
        FileId id;
        uint64_t mount_ns;   /* inode */
        char path[PATH_MAX]; /* "" for "/" */
        bool same_mounts;    /* its mount namespace is ours */
} Root;

static void root_close(Root *r) {
        closep(&r->fd);
}

static FileId file_id(int fd) {
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 ? (FileId){ st.st_dev, st.st_ino } : (FileId){ 0 };
}

static bool same_id(const FileId *a, const FileId *b) {
        return a->inode && a->dev == b->dev && a->inode == b->inode;
}

static int root_open(const Process *p, uint64_t own_mounts, Root *r) {
        char name[64];
        ssize_t n;

        r->pid = p->pid;
        r->mount_ns = p->mount_ns;
        r->same_mounts = own_mounts && own_mounts == p->mount_ns;
        snprintf(name, sizeof(name), "/proc/%d/root", p->pid);
        r->fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (r->fd < 0)
                return -errno;
        r->id = file_id(r->fd);
        n = readlink(name, r->path, sizeof(r->path) - 1);
        if (n < 0)
                return -errno;
        r->path[n] = 0;
        if (n == 1)
                r->path[0] = 0;
        return 0;
}

/* Is it on the file system of the mapping's file? Of btrfs (and overlayfs) the kernel shows a mapping with
 * another number than stat(2) has: then what stat(2) says of the mapped file itself counts. */
static bool on_device(const struct stat *st, pid_t pid, const Mapping *m) {
        _cleanup_(closep) int fd = -1;
        struct stat mapped;

        if (st->st_dev == makedev(m->dev_major, m->dev_minor))
                return true;
        fd = mapping_open(pid, m);
        return fd >= 0 && fstat(fd, &mapped) == 0 && mapped.st_dev == st->st_dev;
}

/* The root of a mount namespace, by a process that did not leave it. */
typedef struct NamespaceRoot {
        struct NamespaceRoot *next;
        uint64_t mount_ns;
        int fd; /* O_PATH; -1: no process has it */
} NamespaceRoot;

static int find_namespace_root(uint64_t mount_ns) {
        ProcessList all = { 0 };
        int fd = -1;

        if (process_list(&all, NULL) < 0)
                return -1;
        for (size_t i = 0; i < all.n && fd < 0; i++) {
                char name[64], path[2];

                if (all.items[i].mount_ns != mount_ns)
                        continue;
                snprintf(name, sizeof(name), "/proc/%d/root", all.items[i].pid);
                if (readlink(name, path, sizeof(path)) == 1)
                        fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        }
        process_list_free(&all);
        return fd;
}

static int namespace_root(Outdated *o, uint64_t mount_ns) {
        NamespaceRoot *n;

        for (n = o->roots; n; n = n->next)
                if (n->mount_ns == mount_ns)
                        return n->fd;
        n = arena_new0(o->arena, NamespaceRoot);
        *n = (NamespaceRoot){ .next = o->roots, .mount_ns = mount_ns, .fd = find_namespace_root(mount_ns) };
        o->roots = n;
        return n->fd;
}

static bool same_pid_namespace(pid_t pid) {
        struct stat own, its;
        char name[64];

        snprintf(name, sizeof(name), "/proc/%d/ns/pid", pid);
        return stat("/proc/self/ns/pid", &own) == 0 && stat(name, &its) == 0 && own.st_ino == its.st_ino &&
               own.st_dev == its.st_dev;
}

/* Opens the path of a mapping, or another in its folder; symbolic links do not lead out of the process's
 * root. */
static int root_open_file(Outdated *o, const Root *r, const char *path, const Mapping *m) {
        const uint64_t inside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        size_t n = strlen(r->path);
        int fd, root = -1;
        struct stat st;

        /* In a chroot the kernel shows paths from our root; in a container from the container's. */
        if (!n || (strncmp(path, r->path, n) == 0 && path[n] == '/'))
                return file_open_regular(r->fd, path + n, inside);
        /* Mapped before the process went into its chroot: not below it. With mounts of its own, it is where a
         * process of the same mounts has it that did not go into any. Where there is none (a unit with
         * PrivateTmp), what is there for us is the same only on the same file system; a container, whose
         * root may be a folder of that, has process ids of its own as well. */
        if (!r->same_mounts) {
                root = namespace_root(o, r->mount_ns);
                if (root < 0 && !same_pid_namespace(r->pid))
                        return -ENOENT;
        }
        if (root >= 0)
                return file_open_regular(root, path, inside);
        fd = file_open_regular(AT_FDCWD, path, RESOLVE_NO_MAGICLINKS);
        if (fd < 0)
                return fd;
        if (r->same_mounts || (fstat(fd, &st) == 0 && on_device(&st, r->pid, m)))
                return fd;
        close(fd);
        return -ENOENT;
}

/* dpkg unpacks to NAME.dpkg-new and keeps the old file as NAME.dpkg-tmp for a moment; a process that
 * mapped it then goes on showing that name. */
static const char *final_path(Arena *a, const char *path) {
        static const char *const endings[] = { ".dpkg-new", ".dpkg-tmp" };
        size_t n = strlen(path);

        for (size_t i = 0; i < ELEMENTSOF(endings); i++) {
                size_t k = strlen(endings[i]);

                if (n > k && strcmp(path + n - k, endings[i]) == 0)
                        return arena_printf(a, "%.*s", (int)(n - k), path);
        }
        return path;
}

/* The path that the process was executed by, absolute; NULL when it can't be read. */
static const char *executed_path(Arena *a, pid_t pid) {
        char name[64], path[PATH_MAX];
        uint64_t entry[2];
        ssize_t n = -1;
        _cleanup_(closep) int auxv = -1, mem = -1;

        snprintf(name, sizeof(name), "/proc/%d/auxv", pid);
        auxv = open(name, O_RDONLY | O_CLOEXEC);
        snprintf(name, sizeof(name), "/proc/%d/mem", pid);
        mem = open(name, O_RDONLY | O_CLOEXEC);
        while (auxv >= 0 && mem >= 0 && read(auxv, entry, sizeof(entry)) == sizeof(entry) &&
               entry[0] != AT_NULL)
                if (entry[0] == AT_EXECFN)
                        n = pread(mem, path, sizeof(path), (off_t)entry[1]);
        return n > 1 && path[0] == '/' && memchr(path, 0, (size_t)n) ? arena_strdup(a, path) : NULL;
}

/* Where the mapping's file was, and its successor is. A unit with ExecPaths= has its program as a mount of
 * its own; when that file is replaced, the kernel takes the mount away, and shows the mapping as the root of
 * nothing. */
static const char *path_of(Arena *a, pid_t pid, const Mapping *m) {
        const char *path = NULL;
        char name[64];
        struct stat st;

        if (strcmp(m->path, "/") != 0)
                return final_path(a, m->path);
        snprintf(name, sizeof(name), "/proc/%d/exe", pid);
        if (stat(name, &st) == 0 && st.st_ino == m->inode && on_device(&st, pid, m))
                path = executed_path(a, pid);
        return path ? path : m->path;
}

/* Mapped code that no package update replaces. */
static bool is_file(const Mapping *m) {
        static const char *const others[] = { "/memfd:", "/dev/", "/SYSV", "/anon_hugepage", "/[aio]" };

        if (!(m->prot & MAP_X) || !m->inode || m->path[0] != '/')
                return false;
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (strncmp(m->path, others[i], strlen(others[i])) == 0)
                        return false;
        return true;
}

static bool is_below(const char *path, const char *folder) {
        size_t n = strlen(folder);

        while (n && folder[n - 1] == '/')
                n--;
        return strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]);
}

/* Files that programs make, map and delete themselves (of a JIT, a bundle that unpacks itself) do not
 * come back; nobody waits for an update of them. */
static bool is_temporary(const char *path) {
        return is_below(path, "/tmp") || is_below(path, "/var/tmp") || is_below(path, "/run");
}

/* A library whose file name holds its version is found again by its soname in the same folder. */
static int open_by_soname(Outdated *o, const Root *root, const char *path, const Mapping *m, int old_fd) {
        _cleanup_(image_freep) Image *old = NULL;
        _cleanup_(freep) char *beside = NULL;
        const char *slash = strrchr(path, '/');

        if (image_open_fd(old_fd, path, &old, NULL) != 0 || !old->soname || strchr(old->soname, '/'))
                return -ENOENT;
        if (asprintf(&beside, "%.*s/%s", (int)(slash - path), path, old->soname) < 0)
                return -ENOMEM;
        return root_open_file(o, root, beside, m);
}

static OutdatedImage *add_image(Outdated *o, OutdatedProcess *p, const char *path, const FileId *now) {
        if (p->n == p->room) {
                size_t room = p->room ? p->room * 2 : 4;
                OutdatedImage *images = arena_newa(o->arena, OutdatedImage, room);

                if (p->n)
                        memcpy(images, p->images, p->n * sizeof(*images));
                p->images = images;
                p->room = room;
        }
        p->images[p->n] = (OutdatedImage){ .path = arena_strdup(o->arena, path),
                                           .now = *now,
                                           .pair = SIZE_MAX,
                                           .code = REFUSAL_N,
                                           .detail = "" };
        return &p->images[p->n++];
}

/* The index of the pair, which takes the descriptors over when it is new. */
static size_t add_pair(Outdated *o, const Process *p, const OutdatedImage *image, int *old_fd, int *new_fd) {
        FileId old_file = file_id(*old_fd), new_file = file_id(*new_fd);

        for (size_t i = 0; i < o->n_pairs; i++)
                if (same_id(&o->pairs[i].old_file, &old_file) && same_id(&o->pairs[i].new_file, &new_file) &&
                    build_id_equal(&o->pairs[i].old_id, &image->old_id) &&
                    build_id_equal(&o->pairs[i].new_id, &image->new_id) &&
                    strcmp(o->pairs[i].path, image->path) == 0)
                        return i;
        if (o->n_pairs == o->pairs_room) {
                o->pairs_room = o->pairs_room ? o->pairs_room * 2 : 16;
                o->pairs = vec_grow(o->pairs, o->pairs_room, sizeof(*o->pairs));
        }
        o->pairs[o->n_pairs] = (OutdatedPair){
                .old_id = image->old_id,
                .new_id = image->new_id,
                .old_file = old_file,
                .new_file = new_file,
                .path = image->path,
                .process = *p,
                .old_fd = TAKE_FD(*old_fd),
                .new_fd = TAKE_FD(*new_fd),
        };
        return o->n_pairs++;
}

static bool same_file(pid_t pid, const Mapping *m, int fd) {
        struct stat st;

        return !m->deleted && fstat(fd, &st) == 0 && st.st_ino == m->inode && on_device(&st, pid, m);
}

/* One process that is looked at. */
typedef struct Look {
        Outdated *o;
        const OutdatedOptions *options;
        OutdatedProcess *p;
        Root root;
        ProcessPatch *have; /* what it carries */
        size_t n_have;
} Look;

static void look_end(Look *l) {
        root_close(&l->root);
        free(l->have);
}

static bool is_patched(const Look *l, const BuildId *id) {
        for (size_t i = 0; i < l->n_have; i++)
                if ((l->have[i].state == PATCH_STATE_ACTIVE || l->have[i].state == PATCH_STATE_SWITCHING) &&
                    build_id_equal(&l->have[i].old_id, id))
                        return true;
        return false;
}

/* The build at the path is the process's base. It runs that, unless a patch is in force. */
static void is_base(const Look *l, const char *path, int fd) {
        OutdatedImage *image;
        BuildId id = { 0 };
        FileId now;

        if (l->options->current)
                l->options->current(l->options->current_data, &l->p->process, path, fd);
        if (!l->n_have || image_build_id_fd(fd, path, &id, NULL) != 0 || !id.n || !is_patched(l, &id))
                return;
        for (size_t i = 0; i < l->p->n; i++)
                if (l->p->images[i].base && build_id_equal(&l->p->images[i].old_id, &id))
                        return; /* loaded twice */
        now = file_id(fd);
        image = add_image(l->o, l->p, path, &now);
        image->base = true;
        image->old_id = image->new_id = id;
}

/* A file that is mapped and at its path still, seen from one root in one mount namespace: of a thousand
 * processes with the same libraries each is opened once. */
typedef struct CurrentFile {
        struct CurrentFile *next;
        uint64_t mount_ns, inode;
        uint32_t dev_major, dev_minor;
        FileId root;
        const char *path;
} CurrentFile;

static bool is_known_current(const Look *l, const Mapping *m, const char *path) {
        for (const CurrentFile *c = l->o->current[m->inode % OUTDATED_BUCKETS]; c; c = c->next)
                if (c->inode == m->inode && c->dev_major == m->dev_major && c->dev_minor == m->dev_minor &&
                    c->mount_ns == l->root.mount_ns && same_id(&c->root, &l->root.id) &&
                    strcmp(c->path, path) == 0)
                        return !m->deleted;
        return false;
}

static void keep_current(const Look *l, const Mapping *m, const char *path) {
        CurrentFile **first = &l->o->current[m->inode % OUTDATED_BUCKETS], *c;

        if (!l->root.mount_ns)
                return;
        c = arena_new0(l->o->arena, CurrentFile);
        *c = (CurrentFile){ .next = *first,
                            .mount_ns = l->root.mount_ns,
                            .inode = m->inode,
                            .dev_major = m->dev_major,
                            .dev_minor = m->dev_minor,
                            .root = l->root.id,
                            .path = arena_strdup(l->o->arena, path) };
        *first = c;
}

/* One mapped file: adds it to the process when it is outdated. Negative: the process cannot be looked at. */
static int look_at_file(const Look *l, const Mapping *m, const char *path) {
        _cleanup_(closep) int new_fd = -1, old_fd = -1;
        OutdatedProcess *p = l->p;
        Outdated *o = l->o;
        BuildId old_id = { 0 }, new_id = { 0 };
        OutdatedImage *image;
        FileId now;
        int r;

        /* Of a process with patches more has to be known. */
        if (!l->n_have && is_known_current(l, m, path))
                return 0;
        new_fd = root_open_file(o, &l->root, path, m);
        now = file_id(new_fd);
        if (new_fd >= 0 && same_file(p->process.pid, m, new_fd)) {
                if (!is_known_current(l, m, path))
                        keep_current(l, m, path);
                is_base(l, path, new_fd);
                return 0;
        }
        old_fd = mapping_open(p->process.pid, m);
        if (old_fd == -EACCES || old_fd == -EPERM)
                return old_fd;
        if (old_fd < 0 && process_read(p->process.pid, &p->process, NULL) == -ESRCH)
                return -ESRCH;
        if (old_fd < 0) {
                image = add_image(o, p, path, &now);
                image->code = REFUSAL_CODE_OLD_UNREADABLE;
                image->detail = arena_strdup(o->arena, strerror(-old_fd));
                return 0;
        }
        r = image_build_id_fd(old_fd, path, &old_id, NULL);
        if (r == IMAGE_UNSUPPORTED && m->deleted && (new_fd >= 0 || !is_temporary(path))) {
                image = add_image(o, p, path, &now);
                image->code = elf_head_is_32bit(old_fd) ? REFUSAL_CODE_PROCESS_32BIT : REFUSAL_CODE_MACHINE;
                return 0;
        }
        if (r)
                return 0; /* not an image: nothing that a loader mapped */
        if (new_fd < 0)
                new_fd = open_by_soname(o, &l->root, path, m, old_fd);
        if (new_fd < 0) {
                if (is_temporary(path))
                        return 0;
                image = add_image(o, p, path, &now);
                image->old_id = old_id;
                image->code = REFUSAL_CODE_NEW_MISSING;
                return 0;
        }
        r = image_build_id_fd(new_fd, path, &new_id, NULL);
        if (r == 0 && build_id_equal(&old_id, &new_id)) {
                is_base(l, path, new_fd);
                return 0;
        }
        image = add_image(o, p, path, &now);
        image->old_id = old_id;
        image->new_id = new_id;
        if (r < 0 || r == IMAGE_NOT_ELF) {
                image->code = REFUSAL_CODE_NEW_MISSING;
                image->detail = "what is at its path is not an ELF image";
        } else if (!old_id.n || !new_id.n) {
                image->code = REFUSAL_CODE_NO_BUILD_ID;
        } else {
                image->pair = add_pair(o, &p->process, image, &old_fd, &new_fd);
        }
        return 0;
}

static bool seen_before(const Maps *maps, size_t i) {
        const Mapping *m = &maps->items[i];

        for (size_t k = i; k-- > 0;) {
                const Mapping *other = &maps->items[k];

                if (is_file(other) && other->inode == m->inode && other->dev_major == m->dev_major &&
                    other->dev_minor == m->dev_minor && strcmp(other->path, m->path) == 0)
                        return true;
        }
        return false;
}

/* Where the image lies that the patch is of. A program at a fixed address has the base 0. */
static void image_path(pid_t pid, const Maps *maps, const ProcessPatch *patch, char out[PATH_MAX]) {
        const Mapping *m = maps_at(maps, patch->image_base);
        char name[64];
        ssize_t n = 0;

        if (m) {
                snprintf(out, PATH_MAX, "%s", m->path);
                return;
        }
        snprintf(name, sizeof(name), "/proc/%d/exe", pid);
        n = readlink(name, out, PATH_MAX - 1);
        out[MAX(n, 0)] = 0;
}

/* Drops those of images that lie elsewhere. */
static void keep_below(pid_t pid, const Maps *maps, const char *root, ProcessPatch *have, size_t *n) {
        char path[PATH_MAX];
        size_t kept = 0;

        if (!root)
                return;
        for (size_t i = 0; i < *n; i++) {
                image_path(pid, maps, &have[i], path);
                if (is_below(path, root))
                        have[kept++] = have[i];
        }
        *n = kept;
}

int outdated_status(pid_t pid, const char *root, ProcessPatch **out, size_t *n, Error *e) {
        _cleanup_(maps_free) Maps maps = { 0 };
        int r;

        pid = task_with_memory(pid);
        if (pid < 0)
                return error_errno(e, pid, "the process has ended");
        r = maps_read(pid, &maps, e);
        if (r == 0)
                r = engine_status_at(pid, &maps, out, n, e);
        if (r == 0)
                keep_below(pid, &maps, root, *out, n);
        return r;
}

/* What it carries; one that can't say is asked again before it is changed. */
static void ask_process(Look *l, const Maps *maps) {
        const OutdatedOptions *options = l->options;

        if (!options->patches || engine_status_at(l->p->process.pid, maps, &l->have, &l->n_have, NULL) < 0)
                return;
        keep_below(l->p->process.pid, maps, options->root, l->have, &l->n_have);
        if (options->carries && l->n_have)
                options->carries(options->carries_data, &l->p->process, l->have, l->n_have);
}

static int look_at_process(Outdated *o, const OutdatedOptions *options, OutdatedProcess *p, Error *e) {
        _cleanup_(look_end) Look l = { .o = o, .options = options, .p = p, .root = { .fd = -1 } };
        _cleanup_(maps_free) Maps maps = { 0 };
        int r = maps_read(p->process.pid, &maps, e);

        if (r < 0 || !maps.n)
                return r;
        r = root_open(&p->process, o->own_mounts, &l.root);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        ask_process(&l, &maps);
        for (size_t i = 0; r >= 0 && i < maps.n; i++) {
                const Mapping *m = &maps.items[i];
                const char *path;

                if (!is_file(m) || seen_before(&maps, i))
                        continue;
                path = path_of(o->arena, p->process.pid, m);
                if ((options->root && !is_below(path, options->root)) ||
                    (options->excluded && options->excluded(options->excluded_data, &p->process, path)))
                        continue;
                r = look_at_file(&l, m, path);
        }
        return r;
}

/* Every pair keeps two files open. */
static void raise_file_limit(void) {
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
                l.rlim_cur = l.rlim_max;
                setrlimit(RLIMIT_NOFILE, &l);
        }
}

static void keep_process(Outdated *o, const OutdatedProcess *p) {
        if (o->n_processes == o->processes_room) {
                o->processes_room = o->processes_room ? o->processes_room * 2 : 64;
                o->processes = vec_grow(o->processes, o->processes_room, sizeof(*o->processes));
        }
        o->processes[o->n_processes++] = *p;
}

int outdated_find(const OutdatedOptions *options, Outdated *out, Error *e) {
        Outdated o = { .arena = arena_new() };
        ProcessList targets = { 0 };
        bool strict = options->n_pids && !options->pass_over;
        struct stat ours;
        int r;

        raise_file_limit();
        o.own_mounts = stat("/proc/self/ns/mnt", &ours) == 0 ? ours.st_ino : 0;
        r = process_select(options->pids, options->n_pids, &targets, e);
        if (r < 0) {
                outdated_free(&o);
                return r;
        }
        for (size_t i = 0; i < targets.n; i++) {
                OutdatedProcess p = { .process = targets.items[i] };

                if (options->progress)
                        options->progress("looking at process %d %s (%zu of %zu)", p.process.pid,
                                          p.process.comm, i + 1, targets.n);
                if (options->enter && process_exists(&p.process) &&
                    !options->enter(options->enter_data, &p.process)) {
                        r = 0;
                        continue;
                }
                r = process_exists(&p.process)
                            ? look_at_process(&o, options, &p, e)
                            : error_set(e, -ESRCH, "there is no process %d", p.process.pid);
                if (r < 0 && strict)
                        break; /* what was asked for by name cannot be told */
                if (r == -EACCES || r == -EPERM)
                        o.hidden++;
                if (r < 0)
                        continue; /* it ended meanwhile */
                o.looked_at++;
                if (p.n)
                        keep_process(&o, &p);
        }
        if (options->enter)
                options->enter(options->enter_data, NULL);
        process_list_free(&targets);
        if (r < 0 && strict) {
                outdated_free(&o);
                if (e && !e->text[0])
                        error_errno(e, r, "the process");
                return r;
        }
        *out = o;
        return 0;
}

void outdated_free(Outdated *o) {
        for (size_t i = 0; i < o->n_pairs; i++) {
                closep(&o->pairs[i].old_fd);
                closep(&o->pairs[i].new_fd);
        }
        for (const NamespaceRoot *n = o->roots; n; n = n->next)
                if (n->fd >= 0)
                        close(n->fd);
        free(o->pairs);
        free(o->processes);
        o->arena = arena_free(o->arena);
}

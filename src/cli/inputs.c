/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inputs.h"
#include "base/macro.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void add_pair(Inputs *in, DebMember *old, DebMember *new) {
        in->pairs[in->n++] = (Pair){
                .file = new->path,
                .old_path = old->path,
                .new_path = new->path,
                .old = TAKE(old->file, (FileBytes){ 0 }),
                .new = TAKE(new->file, (FileBytes){ 0 }),
        };
}

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static size_t folder_length(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? (size_t)(slash - path) : 0;
}

static bool same_folder(const char *a, const char *b) {
        size_t n = folder_length(a);

        return n == folder_length(b) && strncmp(a, b, n) == 0;
}

/* The soname of a member, which keeps its bytes. */
static char *member_soname(const DebMember *m, Arena *a) {
        _cleanup_(image_freep) Image *image = NULL;
        FileBytes copy = { 0 };

        if (file_dup(m->file.bytes, m->file.size, &copy, NULL) < 0)
                return NULL;
        if (image_parse(m->path, &copy, &image, NULL) != 0 || !image->soname)
                return NULL;
        return arena_strdup(a, image->soname);
}

/* Members without a partner of the same path: libraries whose file name carries a version have one
 * of the same soname in the same folder. */
static void pair_by_soname(Inputs *in) {
        Deb *old = in->old_deb, *new = in->new_deb;

        for (size_t i = 0; i < new->n; i++) {
                DebMember *n = &new->members[i];
                const char *soname = NULL;

                for (size_t k = 0; n->file.bytes && k < old->n; k++) {
                        DebMember *o = &old->members[k];
                        const char *other;

                        if (!o->file.bytes || !same_folder(o->path, n->path))
                                continue;
                        if (!soname)
                                soname = member_soname(n, in->arena);
                        if (!soname)
                                break;
                        other = member_soname(o, in->arena);
                        if (other && strcmp(other, soname) == 0)
                                add_pair(in, o, n);
                }
        }
}

static void pair_packages(Inputs *in) {
        Deb *old = in->old_deb, *new = in->new_deb;
        size_t i = 0, k = 0;

        in->pairs = arena_newa(in->arena, Pair, MIN(old->n, new->n));
        while (i < old->n && k < new->n) {
                int order = strcmp(old->members[i].path, new->members[k].path);

                if (order == 0)
                        add_pair(in, &old->members[i++], &new->members[k++]);
                else if (order < 0)
                        i++;
                else
                        k++;
        }
        pair_by_soname(in);
        in->only_old = arena_newa(in->arena, const char *, old->n);
        in->only_new = arena_newa(in->arena, const char *, new->n);
        for (i = 0; i < old->n; i++)
                if (old->members[i].file.bytes)
                        in->only_old[in->n_only_old++] = old->members[i].path;
        for (i = 0; i < new->n; i++)
                if (new->members[i].file.bytes)
                        in->only_new[in->n_only_new++] = new->members[i].path;
}

static int open_packages(const char *old, const char *new, Inputs *in, Error *e) {
        int r = deb_open(old, &in->old_deb, e);

        if (r < 0)
                return r;
        r = deb_open(new, &in->new_deb, e);
        if (r < 0)
                return r;
        if (in->old_deb->package && in->new_deb->package &&
            strcmp(in->old_deb->package, in->new_deb->package) != 0)
                return error_set(e, -EINVAL,
                                 "%s is the package %s, %s is %s: give two versions of one package", old,
                                 in->old_deb->package, new, in->new_deb->package);
        pair_packages(in);
        return 0;
}

static int open_files(const char *old, const char *new, Inputs *in, Error *e) {
        Pair *p = arena_new0(in->arena, Pair);
        int r;

        *p = (Pair){ .file = new, .old_path = old, .new_path = new };
        in->pairs = p;
        r = file_read(old, IMAGE_MAX_SIZE, &p->old, e);
        if (r < 0)
                return r;
        in->n = 1;
        return file_read(new, IMAGE_MAX_SIZE, &p->new, e);
}

int inputs_open(const char *old, const char *new, const Options *o, Inputs *out, Error *e) {
        const char *const given[] = { o->debug_old, o->debug_new };
        Inputs in = { .arena = arena_new() };
        bool deb = deb_is(old);
        int r;

        /* A comparison that needs no debug information would not notice. */
        for (size_t i = 0; i < ELEMENTSOF(given); i++)
                if (given[i] && access(given[i], R_OK) < 0) {
                        r = error_errno(e, -errno, "%s", given[i]);
                        inputs_close(&in);
                        return r;
                }
        if (deb != deb_is(new))
                /* A file that cannot be read is neither; say that rather than this. */
                r = access(old, R_OK) < 0 ? error_errno(e, -errno, "%s", old)
                    : access(new, R_OK) < 0
                            ? error_errno(e, -errno, "%s", new)
                            : error_set(e, -EINVAL,
                                        "%s is a .deb package, %s is not: give two packages or two ELF files",
                                        deb ? old : new, deb ? new : old);
        else if (deb)
                r = open_packages(old, new, &in, e);
        else
                r = open_files(old, new, &in, e);
        if (r < 0) {
                inputs_close(&in);
                return r;
        }
        *out = in;
        return 0;
}

void inputs_close(Inputs *in) {
        for (size_t i = 0; i < in->n; i++) {
                file_release(&in->pairs[i].old);
                file_release(&in->pairs[i].new);
        }
        in->old_deb = deb_free(in->old_deb);
        in->new_deb = deb_free(in->new_deb);
        in->arena = arena_free(in->arena);
}

/* The package with debug symbols that lies beside the package `path` ("nginx-dbgsym_1.2_amd64.deb"); or,
 * with `path` a package of debug symbols itself, that one; NULL when there is none. */
static Deb *open_dbgsym(const char *path, bool itself) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *rest = strchr(name, '_');
        _cleanup_(freep) char *beside = NULL;
        Deb *deb = NULL;

        if (itself)
                beside = strdup(path);
        else if (!rest || asprintf(&beside, "%.*s-dbgsym%s", (int)(rest - path), path, rest) < 0)
                return NULL;
        if (!beside || !deb_is(beside) || deb_open(beside, &deb, NULL) != 0)
                return NULL;
        return deb;
}

/* Puts the debug file of `id` into memory: a descriptor that /proc/self/fd/N opens; -ENOENT: not there. */
static int debug_file(const Deb *dbgsym, const BuildId *id) {
        char text[2 * BUILD_ID_MAX + 1], path[2 * BUILD_ID_MAX + 64];

        if (id->n < 2)
                return -ENOENT;
        build_id_text(id, text);
        snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", text, text + 2);
        for (size_t i = 0; i < dbgsym->n; i++) {
                const DebMember *m = &dbgsym->members[i];
                _cleanup_(closep) int fd = -1;
                size_t at = 0;

                if (strcmp(m->path, path) != 0)
                        continue;
                fd = memfd_create("debug", MFD_CLOEXEC);
                if (fd < 0)
                        return -errno;
                while (at < m->file.size) {
                        ssize_t n = write(fd, m->file.bytes + at, m->file.size - at);

                        if (n < 0 && errno == EINTR)
                                continue;
                        if (n < 0)
                                return -errno;
                        at += (size_t)n;
                }
                return TAKE_FD(fd);
        }
        return -ENOENT;
}

/* The build-id of an ELF file in memory. */
static bool file_build_id(const FileBytes *f, BuildId *id) {
        _cleanup_(closep) int fd = memfd_create("image", MFD_CLOEXEC);

        if (fd < 0 || write(fd, f->bytes, f->size) != (ssize_t)f->size)
                return false;
        return image_build_id_fd(fd, "image", id, NULL) == 0 && id->n;
}

/*
 * What to pass as the debug file of one side: the file that was given; out of the package of debug
 * symbols that was given or lies beside the operand; or NULL: search. *fd keeps it open.
 */
static int side_debug(const char *given, const char *operand, const FileBytes *image, bool package, int *fd,
                      char room[32], const char **out, Error *e) {
        _cleanup_(deb_freep) Deb *dbgsym = NULL;
        bool itself = given && deb_is(given);
        BuildId id;

        *out = given;
        if (given ? !itself : !package)
                return 0;
        *out = NULL;
        dbgsym = open_dbgsym(itself ? given : operand, itself);
        if (!dbgsym)
                return itself ? error_set(e, -EINVAL, "%s: cannot be read as a package", given) : 0;
        *fd = file_build_id(image, &id) ? debug_file(dbgsym, &id) : -ENOENT;
        if (*fd < 0)
                return itself ? error_set(e, -ENOENT, "%s: has no debug information for this build-id", given)
                              : 0;
        snprintf(room, 32, "/proc/self/fd/%d", *fd);
        *out = room;
        return 0;
}

int compare_pair(const Inputs *in, Pair *pair, const char *old, const char *new, const Options *o,
                 Comparison *out, Error *e) {
        _cleanup_(closep) int old_fd = -1, new_fd = -1;
        char old_path[32], new_path[32];
        CompareOptions c = {
                .diff = { .no_debug = o->no_debug },
                .accepted = o->accepted,
                .old_path = in->old_deb ? pair->old_path : base_name(pair->old_path),
                .new_path = in->new_deb ? pair->new_path : base_name(pair->new_path),
                .old_version = in->old_deb ? in->old_deb->version : NULL,
                .new_version = in->new_deb ? in->new_deb->version : NULL,
        };

        if (!o->no_debug) {
                int r = side_debug(o->debug_old, old, &pair->old, in->old_deb, &old_fd, old_path,
                                   &c.diff.debug_old, e);

                if (r < 0)
                        return r;
                r = side_debug(o->debug_new, new, &pair->new, in->new_deb, &new_fd, new_path,
                               &c.diff.debug_new, e);
                if (r < 0)
                        return r;
        }
        return compare_files(pair->old_path, &pair->old, pair->new_path, &pair->new, &c, out, e);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/dpkg.h"
#include "base/macro.h"
#include "base/usrmerge.h"
#include "base/vec.h"
#include "evidence/read.h"
#include "evidence/version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <xxhash.h>

#define INFO "var/lib/dpkg/info"
enum { IMAGE_BYTES_MAX = 1 << 30 };

/* The value of "Key: value" when the line is one of that key. */
static const char *value_of(const char *line, size_t n, const char *key, size_t *size) {
        size_t k = strlen(key);

        if (n <= k || line[k] != ':' || strncasecmp(line, key, k) != 0)
                return NULL;
        line += k + 1;
        n -= k + 1;
        while (n && (*line == ' ' || *line == '\t')) {
                line++;
                n--;
        }
        while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
                n--;
        *size = n;
        return line;
}

static const char *take(Arena *a, const char *s, size_t n) {
        return arena_printf(a, "%.*s", (int)MIN(n, (size_t)4096), s);
}

/* "openssl (3.0.20-1)" or "openssl" */
static void read_source(Package *p, const char *s, size_t n, Arena *a) {
        const char *open = memchr(s, '(', n),
                   *close = open ? memchr(open, ')', n - (size_t)(open - s)) : NULL;
        size_t name = 0;

        while (name < n && s[name] != ' ' && s[name] != '(')
                name++;
        p->source = take(a, s, name);
        if (close)
                p->source_version = take(a, open + 1, (size_t)(close - open - 1));
}

/* The third word of the status. */
static bool is_whole(const char *s, size_t n) {
        static const char *const states[] = { " installed", " unpacked", " half-configured",
                                              " triggers-awaited", " triggers-pending" };

        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                size_t k = strlen(states[i]);

                if (n > k && memcmp(s + n - k, states[i], k) == 0)
                        return true;
        }
        return false;
}

typedef VEC(Package) Packages;

static void keep(Packages *to, Package *p) {
        if (p->name && *p->name && p->arch && *p->arch && p->version && *p->version && p->whole) {
                p->source = p->source ? p->source : p->name;
                p->source_version = p->source_version ? p->source_version : p->version;
                vec_push(to, *p);
        }
        *p = (Package){ 0 };
}

static int by_name(const void *a, const void *b) {
        const Package *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        return r ? r : strcmp(x->arch, y->arch);
}

int dpkg_parse_status(const char *name, const FileBytes *text, Arena *a, Package **out, size_t *n_out,
                      Error *e) {
        Lines lines = lines_of(text);
        Packages packages = { 0 };
        Package p = { 0 };
        const char *line, *v;
        size_t n, size;
        int r = 0;

        while (r == 0 && lines_next(&lines, &line, &n)) {
                if (!n)
                        keep(&packages, &p);
                else if ((v = value_of(line, n, "Package", &size)))
                        p.name = take(a, v, size);
                else if ((v = value_of(line, n, "Architecture", &size)))
                        p.arch = take(a, v, size);
                else if ((v = value_of(line, n, "Version", &size)))
                        p.version = take(a, v, size);
                else if ((v = value_of(line, n, "Source", &size)))
                        read_source(&p, v, size, a);
                else if ((v = value_of(line, n, "Status", &size)))
                        p.whole = is_whole(v, size);
                if (packages.n > DPKG_MAX_PACKAGES)
                        r = error_set(e, -E2BIG, "%s: more packages than a machine has", name);
        }
        keep(&packages, &p);
        if (r == 0) {
                if (packages.n) {
                        qsort(packages.items, packages.n, sizeof(*packages.items), by_name);
                        *out = arena_dup(a, packages.items, packages.n * sizeof(*packages.items));
                }
                *n_out = packages.n;
        }
        vec_free(&packages);
        return r;
}

#define STATUS "var/lib/dpkg/status"

/* Opens the status file and notes when it was changed. -ENOENT, without a text: there is none. */
static int open_status(Dpkg *d, Error *e) {
        int fd = root_open_path(d->root, STATUS, e);
        struct stat st;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0) {
                close(fd);
                return error_errno(e, -errno, STATUS);
        }
        d->status_usec = (uint64_t)st.st_mtim.tv_sec * 1000000 + (uint64_t)st.st_mtim.tv_nsec / 1000;
        return fd;
}

int dpkg_open(const char *root, Dpkg *out, Error *e) {
        Dpkg d = { .arena = arena_new() };
        int fd;

        d.root = root_open_dir(root, e);
        fd = d.root < 0 ? d.root : open_status(&d, e);
        if (fd >= 0)
                close(fd);
        else if (fd != -ENOENT) {
                dpkg_close(&d);
                return fd;
        }
        *out = d;
        return 0;
}

int dpkg_read(Dpkg *d, Error *e) {
        _cleanup_(closep) int fd = -1;
        FileBytes text = { 0 };
        int r;

        if (d->read)
                return 0;
        fd = open_status(d, e);
        r = fd < 0 ? fd : file_read_fd(fd, STATUS, DPKG_STATUS_MAX, &text, e);
        if (r == 0)
                r = dpkg_parse_status(STATUS, &text, d->arena, &d->packages, &d->n, e);
        file_release(&text);
        d->read = r == 0 || r == -ENOENT;
        return r == -ENOENT ? 0 : r;
}

void dpkg_close(Dpkg *d) {
        if (d->arena)
                closep(&d->root);
        d->arena = arena_free(d->arena);
}

Package *dpkg_package(const Dpkg *d, const char *name, const char *arch) {
        size_t lo = 0, hi = d->n;

        while (lo < hi) { /* the first that is not before `name` */
                size_t mid = lo + (hi - lo) / 2;

                if (strcmp(d->packages[mid].name, name) < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (; lo < d->n && strcmp(d->packages[lo].name, name) == 0; lo++)
                if (!arch || strcmp(d->packages[lo].arch, arch) == 0)
                        return &d->packages[lo];
        return NULL;
}

/* The package that a file "NAME.list" or "NAME:ARCH.list" of the database is of. */
static Package *package_of_file(const Dpkg *d, const char *file, const char *ending) {
        size_t n = strlen(file), k = strlen(ending);
        char name[NAME_MAX + 1], *colon;

        if (n <= k || n > NAME_MAX || strcmp(file + n - k, ending) != 0)
                return NULL;
        snprintf(name, sizeof(name), "%.*s", (int)(n - k), file);
        colon = strchr(name, ':');
        if (colon)
                *colon = 0;
        return dpkg_package(d, name, colon ? colon + 1 : NULL);
}

/* The wanted paths by their hash: open addressing, at most half full. */
typedef struct Wanted {
        bool lengths[PATH_MAX]; /* of some wanted path: most lines are told apart by that alone */
        struct Slot {
                const char *path; /* NULL: free */
                size_t n, of;     /* its length; index of the wanted path */
        } * slots;
        size_t mask;
} Wanted;

static void want(Wanted *w, const char *path, size_t of) {
        size_t n = strlen(path), at = XXH3_64bits(path, n) & w->mask;

        w->lengths[MIN(n, (size_t)PATH_MAX - 1)] = true;
        while (w->slots[at].path)
                at = (at + 1) & w->mask;
        w->slots[at] = (struct Slot){ path, n, of };
}

typedef struct Buffer {
        char *bytes;
        size_t n, room;
} Buffer;

static void own_lines(const Wanted *w, const Buffer *list, Package *p, Package **owners, bool *twice) {
        Lines lines = { list->bytes, list->bytes + list->n };
        const char *line;
        size_t n;

        while (lines_next(&lines, &line, &n)) {
                size_t at;

                if (!w->lengths[MIN(n, (size_t)PATH_MAX - 1)])
                        continue;
                at = XXH3_64bits(line, n) & w->mask;
                for (; w->slots[at].path; at = (at + 1) & w->mask) {
                        const struct Slot *s = &w->slots[at];

                        if (s->n != n || memcmp(s->path, line, n) != 0)
                                continue;
                        twice[s->of] |= owners[s->of] && owners[s->of] != p;
                        owners[s->of] = p;
                }
        }
}

/* A file that is directly in the folder, into a buffer that serves for the next one as well: there are
 * thousands of lists. False: it can't be read. */
static bool read_list(int dir, const char *name, Buffer *to) {
        _cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        ssize_t n = 1;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > DPKG_LIST_MAX)
                return false;
        if ((size_t)st.st_size > to->room) {
                to->room = MAX((size_t)st.st_size, 2 * to->room);
                to->bytes = vec_grow(to->bytes, to->room, 1);
        }
        for (to->n = 0; n > 0 && to->n < (size_t)st.st_size; to->n += (size_t)MAX(n, 0))
                n = read(fd, to->bytes + to->n, (size_t)st.st_size - to->n);
        return n > 0;
}

int dpkg_owners(const Dpkg *d, const char *const *paths, size_t n, Package **owners, Error *e) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        Wanted w = { .mask = 15 };
        Buffer list = { 0 };
        bool *twice = arena_newa(a, bool, n);
        int fd = n ? root_open_folder(d->root, INFO, e) : -ENOENT;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *f;

        memset(owners, 0, n * sizeof(Package *));
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        if (!dir) {
                close(fd);
                return error_errno(e, -ENOMEM, INFO);
        }
        while (w.mask < 4 * n)
                w.mask = w.mask * 2 + 1;
        w.slots = arena_newa(a, struct Slot, w.mask + 1);
        for (size_t i = 0; i < n; i++) {
                char other[PATH_MAX];

                want(&w, paths[i], i);
                if (usrmerge_other(paths[i], other, sizeof(other)))
                        want(&w, arena_strdup(a, other), i);
        }
        while ((f = readdir(dir))) {
                Package *p = package_of_file(d, f->d_name, ".list");

                if (p && read_list(fd, f->d_name, &list))
                        own_lines(&w, &list, p, owners, twice);
        }
        closedir(dir);
        free(list.bytes);
        for (size_t i = 0; i < n; i++)
                if (twice[i])
                        owners[i] = NULL;
        return 0;
}

/* The 32 digits that the package's sums give for the path; false: none. */
static bool find_sum(const FileBytes *sums, const char *path, char out[33]) {
        Lines lines = lines_of(sums);
        char other[PATH_MAX];
        bool two = usrmerge_other(path, other, sizeof(other));
        const char *line;
        size_t n;

        while (lines_next(&lines, &line, &n)) {
                if (n < 35)
                        continue;
                for (int i = 0; i <= two; i++) {
                        const char *want_path = (i ? other : path) + 1;

                        if (strlen(want_path) == n - 34 && memcmp(line + 34, want_path, n - 34) == 0) {
                                snprintf(out, 33, "%.32s", line);
                                return true;
                        }
                }
        }
        return false;
}

static bool md5_of(int fd, char out[33]) {
        unsigned char sum[EVP_MAX_MD_SIZE];
        FileBytes f = { 0 };
        unsigned n = 0;
        bool ok = file_read_fd(fd, "", IMAGE_BYTES_MAX, &f, NULL) == 0;

        ok = ok && EVP_Digest(f.bytes, f.size, sum, &n, EVP_md5(), NULL) == 1 && n == 16;
        file_release(&f);
        for (unsigned i = 0; ok && i < n; i++)
                snprintf(out + (size_t)2 * i, 3, "%02x", sum[i]);
        return ok;
}

DpkgCheck dpkg_check(const Dpkg *d, const Package *p, const char *path, int fd) {
        char file[PATH_MAX], want_sum[33], have[33];
        FileBytes sums = { 0 };
        bool found;

        snprintf(file, sizeof(file), INFO "/%s:%s.md5sums", p->name, p->arch);
        if (root_read(d->root, file, DPKG_LIST_MAX, &sums, NULL) < 0) {
                snprintf(file, sizeof(file), INFO "/%s.md5sums", p->name);
                if (root_read(d->root, file, DPKG_LIST_MAX, &sums, NULL) < 0)
                        return DPKG_NO_SUM;
        }
        found = find_sum(&sums, path, want_sum);
        file_release(&sums);
        if (!found || !md5_of(fd, have)) /* MD5 can be turned off */
                return DPKG_NO_SUM;
        return strcmp(want_sum, have) == 0 ? DPKG_SAME : DPKG_DIFFERS;
}

const char *dpkg_source_version(const Package *p, const char *version, Arena *a) {
        size_t n = version_source_length(p->version);

        if (strlen(p->source_version) != n || strncmp(p->version, p->source_version, n) != 0)
                return NULL;
        return arena_printf(a, "%.*s", (int)version_source_length(version), version);
}

static const char *const names[] = { "changelog.Debian.gz", "changelog.Debian", "changelog.gz", "changelog" };

const Changelog *dpkg_changelog(const Dpkg *d, Package *p) {
        Changelog all = { 0 }, *c = &p->changelog;

        if (p->read)
                return c;
        p->read = true;
        for (size_t i = 0; i < ELEMENTSOF(names) && !c->n; i++) {
                char path[PATH_MAX];
                FileBytes text = { 0 };

                snprintf(path, sizeof(path), "usr/share/doc/%s/%s", p->name, names[i]);
                if (root_read(d->root, path, CHANGELOG_MAX, &text, NULL) < 0)
                        continue;
                if (changelog_parse(path, &text, d->arena, &all, NULL) < 0)
                        all.n = 0;
                file_release(&text);
                c->entries = arena_newa(d->arena, ChangelogEntry, all.n);
                for (size_t k = 0; k < all.n; k++)
                        if (strcmp(all.entries[k].source, p->source) == 0 &&
                            version_compare(all.entries[k].version, p->source_version) <= 0)
                                c->entries[c->n++] = all.entries[k];
                if (c->n)
                        p->changelog_path = arena_printf(d->arena, "/%s", path);
        }
        return c;
}

static bool is_script(const char *path, size_t n) {
        static const char *const endings[] = { ".py", ".pm", ".pl", ".rb", ".js", ".tcl" };

        for (size_t i = 0; i < ELEMENTSOF(endings); i++) {
                size_t k = strlen(endings[i]);

                if (n > k && memcmp(path + n - k, endings[i], k) == 0)
                        return true;
        }
        return false;
}

void dpkg_read_scripts(const Dpkg *d, Package *p) {
        char plain[PATH_MAX], with_arch[PATH_MAX];
        const char *const lists[] = { plain, with_arch };

        if (p->list_read)
                return;
        p->list_read = true;
        snprintf(plain, sizeof(plain), INFO "/%s.list", p->name);
        snprintf(with_arch, sizeof(with_arch), INFO "/%s:%s.list", p->name, p->arch);
        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                _cleanup_(closep) int fd = root_open_path(d->root, lists[i], NULL);
                FileBytes list = { 0 };
                struct stat st;
                const char *line;
                size_t n;

                if (fd < 0 || fstat(fd, &st) < 0 ||
                    root_read(d->root, lists[i], DPKG_LIST_MAX, &list, NULL) < 0)
                        continue;
                p->unpacked_usec =
                        (uint64_t)st.st_mtim.tv_sec * 1000000 + (uint64_t)st.st_mtim.tv_nsec / 1000;
                for (Lines lines = lines_of(&list); !p->scripts && lines_next(&lines, &line, &n);)
                        p->scripts = is_script(line, n);
                file_release(&list);
                return;
        }
}

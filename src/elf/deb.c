/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/deb.h"
#include "base/macro.h"
#include "base/vec.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

enum { CONTROL_MAX = 1 << 20, BLOCK = 1 << 16 };
#define STREAM_MAX (UINT64_C(16) << 30) /* bytes of one tar, unpacked */

typedef VEC(DebMember) Members;

static void archive_freep(struct archive **a) {
        archive_read_free(*a);
}

static int archive_failed(struct archive *a, const char *path, const char *where, Error *e) {
        const char *text = archive_error_string(a);

        return error_set(e, -EBADMSG, "%s: %s: %s", path, where, text ? text : "unreadable");
}

bool deb_is(const char *path) {
        static const char magic[] = "!<arch>\ndebian-binary";
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        char bytes[sizeof(magic) - 1];

        return fd >= 0 && read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes) &&
               memcmp(bytes, magic, sizeof(bytes)) == 0;
}

/* The inner archive reads through the outer one, so that a member is never held packed. */
static ssize_t read_outer(struct archive *inner, void *data, const void **block) {
        struct archive *outer = data;
        static const char nothing[1];
        la_int64_t offset;
        size_t size;
        int r;

        do
                r = archive_read_data_block(outer, block, &size, &offset);
        while (r == ARCHIVE_OK && size == 0);
        if (r == ARCHIVE_EOF) {
                *block = nothing;
                return 0;
        }
        if (r != ARCHIVE_OK) {
                archive_set_error(inner, EIO, "%s", archive_error_string(outer));
                return -1;
        }
        return (ssize_t)size;
}

static int open_tar(struct archive *outer, const char *path, const char *where, struct archive **out,
                    Error *e) {
        _cleanup_(archive_freep) struct archive *a = archive_read_new();

        if (!a)
                return error_errno(e, -ENOMEM, "%s", path);
        archive_read_support_format_tar(a);
        archive_read_support_filter_gzip(a);
        archive_read_support_filter_bzip2(a);
        archive_read_support_filter_lzma(a);
        archive_read_support_filter_xz(a);
        archive_read_support_filter_zstd(a);
        if (archive_read_open(a, outer, NULL, read_outer, NULL) != ARCHIVE_OK)
                return archive_failed(a, path, where, e);
        *out = TAKE_PTR(a);
        return 0;
}

/* 1: an entry; 0: the end. */
static int next_entry(struct archive *a, uint64_t *total, const char *path, const char *where,
                      struct archive_entry **out, Error *e) {
        int r = archive_read_next_header(a, out);

        if (r == ARCHIVE_EOF)
                return 0;
        /* A warning is about names or attributes that do not matter here. */
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
                return archive_failed(a, path, where, e);
        if (archive_entry_size(*out) < 0 || (uint64_t)archive_entry_size(*out) > STREAM_MAX - *total)
                return error_set(e, -EFBIG, "%s: %s: unpacks to more than the limit", path, where);
        *total += (uint64_t)archive_entry_size(*out);
        if (archive_entry_sparse_count(*out) > 0)
                return error_set(e, -EBADMSG, "%s: %s: holds a sparse file", path, where);
        return 1;
}

static int read_exactly(struct archive *a, void *to, size_t size, const char *path, const char *where,
                        Error *e) {
        size_t at = 0;

        while (at < size) {
                la_ssize_t n = archive_read_data(a, (uint8_t *)to + at, size - at);

                if (n < 0)
                        return archive_failed(a, path, where, e);
                if (n == 0)
                        return error_set(e, -EBADMSG, "%s: %s: cut short", path, where);
                at += (size_t)n;
        }
        return 0;
}

/* "./usr/bin/x", "usr/bin/x" and "/usr/bin/x" are the same place. NULL: not a path that a package has. */
static char *absolute_path(const char *name) {
        char *path, *to;

        if (!name || !*name)
                return NULL;
        path = malloc(strlen(name) + 2);
        if (!path)
                return NULL;
        to = path;
        while (*name) {
                size_t n = strcspn(name, "/");

                if (n == 2 && memcmp(name, "..", 2) == 0) {
                        free(path);
                        return NULL;
                }
                if (n && !(n == 1 && *name == '.')) {
                        *to++ = '/';
                        memcpy(to, name, n);
                        to += n;
                }
                name += n + (name[n] == '/');
        }
        *to = 0;
        return path;
}

/* Is this the package's changelog? Of several files Debian's own name counts first. */
static bool is_changelog(const Deb *d, struct archive_entry *entry) {
        static const char *const names[] = { "changelog.Debian.gz", "changelog.Debian", "changelog.gz",
                                             "changelog" };
        _cleanup_(freep) char *path = absolute_path(archive_entry_pathname(entry));
        size_t n = d->package ? strlen(d->package) : 0;

        if (!path || !n || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
            !archive_entry_size(entry) || archive_entry_size(entry) > DEB_MAX_CHANGELOG ||
            strncmp(path, "/usr/share/doc/", 15) != 0 || strncmp(path + 15, d->package, n) != 0 ||
            path[15 + n] != '/')
                return false;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(path + 16 + n, names[i]) == 0)
                        return i < 2 || !d->changelog.bytes;
        return false;
}

static int read_changelog(struct archive *a, struct archive_entry *entry, const char *path, Deb *d,
                          Error *e) {
        size_t size = (size_t)archive_entry_size(entry);
        _cleanup_(freep) uint8_t *bytes = malloc(size);
        int r = bytes ? read_exactly(a, bytes, size, path, "changelog", e)
                      : error_errno(e, -ENOMEM, "%s", path);

        if (r < 0)
                return r;
        file_release(&d->changelog);
        return file_dup(bytes, size, &d->changelog, e);
}

static int read_elf(struct archive *a, struct archive_entry *entry, const char *path, size_t *total,
                    Members *members, Error *e) {
        static const uint8_t magic[4] = { 0x7f, 'E', 'L', 'F' };
        size_t size = (size_t)archive_entry_size(entry);
        const char *name = archive_entry_pathname(entry);
        uint8_t start[sizeof(magic)], *bytes;
        int r;

        if (!name)
                name = archive_entry_pathname_utf8(entry);
        if (!name)
                return error_set(e, -EBADMSG, "%s: data: a file has no name", path);
        if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
            size < sizeof(magic))
                return 0;
        r = read_exactly(a, start, sizeof(start), path, name, e);
        if (r < 0)
                return r;
        if (memcmp(start, magic, sizeof(magic)) != 0)
                return 0;
        if (size > DEB_MAX_FILE || size > DEB_MAX_TOTAL - *total)
                return error_set(e, -EFBIG, "%s: %s: larger than the limit", path, name);
        *total += size;
        bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (bytes == MAP_FAILED)
                return error_errno(e, -errno, "%s: %s: memory for %zu bytes", path, name, size);
        vec_push(members, (DebMember){ .file = { .bytes = bytes, .size = size } });
        memcpy(bytes, start, sizeof(start));
        r = read_exactly(a, bytes + sizeof(start), size - sizeof(start), path, name, e);
        if (r < 0)
                return r;
        members->items[members->n - 1].path = absolute_path(name);
        if (!members->items[members->n - 1].path)
                return error_set(e, -EBADMSG, "%s: data: a file has an impossible name", path);
        return 0;
}

static int read_data(struct archive *outer, const char *path, Deb *d, Members *members, Error *e) {
        _cleanup_(archive_freep) struct archive *a = NULL;
        struct archive_entry *entry;
        uint64_t stream = 0;
        size_t total = 0, n = 0;
        int r;

        r = open_tar(outer, path, "data", &a, e);
        if (r < 0)
                return r;
        while ((r = next_entry(a, &stream, path, "data", &entry, e)) > 0) {
                if (++n > DEB_MAX_MEMBERS)
                        return error_set(e, -EFBIG, "%s: data: more files than the limit", path);
                r = is_changelog(d, entry) ? read_changelog(a, entry, path, d, e)
                                           : read_elf(a, entry, path, &total, members, e);
                if (r < 0)
                        return r;
        }
        return r;
}

/* The value of a one-line field of a control file, malloc'ed; NULL when it is not there. */
static char *control_field(const char *text, const char *name) {
        size_t n = strlen(name);

        while (*text) {
                size_t line = strcspn(text, "\n");

                if (line > n && strncasecmp(text, name, n) == 0 && text[n] == ':') {
                        size_t at = n + 1;

                        while (at < line && (text[at] == ' ' || text[at] == '\t'))
                                at++;
                        while (line > at && (text[line - 1] == ' ' || text[line - 1] == '\r'))
                                line--;
                        return strndup(text + at, line - at);
                }
                text += line + (text[line] == '\n');
        }
        return NULL;
}

static int read_control(struct archive *outer, const char *path, Deb *d, Error *e) {
        _cleanup_(archive_freep) struct archive *a = NULL;
        _cleanup_(freep) char *text = NULL;
        struct archive_entry *entry;
        uint64_t stream = 0;
        int r;

        r = open_tar(outer, path, "control", &a, e);
        if (r < 0)
                return r;
        while ((r = next_entry(a, &stream, path, "control", &entry, e)) > 0) {
                _cleanup_(freep) char *name = absolute_path(archive_entry_pathname(entry));
                size_t size = (size_t)archive_entry_size(entry);

                if (!name || strcmp(name, "/control") != 0)
                        continue;
                if (size > CONTROL_MAX)
                        return error_set(e, -EFBIG, "%s: control: larger than the limit", path);
                text = calloc(1, size + 1);
                if (!text)
                        return error_errno(e, -ENOMEM, "%s", path);
                r = read_exactly(a, text, size, path, "control", e);
                if (r < 0)
                        return r;
                d->package = control_field(text, "Package");
                d->version = control_field(text, "Version");
                d->architecture = control_field(text, "Architecture");
                d->source = control_field(text, "Source");
                return 0;
        }
        return r;
}

static int member_order(const void *a, const void *b) {
        return strcmp(((const DebMember *)a)->path, ((const DebMember *)b)->path);
}

static int read_package(struct archive *outer, const char *path, Deb *d, Members *members, Error *e) {
        struct archive_entry *entry;
        bool has_data = false, has_control = false;
        uint64_t stream = 0;
        int r;

        while ((r = next_entry(outer, &stream, path, "package", &entry, e)) > 0) {
                const char *name = archive_entry_pathname(entry);

                if (!name)
                        continue;
                if (!has_control && strncmp(name, "control.tar", 11) == 0) {
                        has_control = true;
                        r = read_control(outer, path, d, e);
                } else if (strncmp(name, "data.tar", 8) == 0) {
                        if (has_data)
                                return error_set(e, -EBADMSG, "%s: holds its data twice", path);
                        has_data = true;
                        r = read_data(outer, path, d, members, e);
                }
                if (r < 0)
                        return r;
        }
        if (r == 0 && !has_data)
                return error_set(e, -EBADMSG, "%s: is not a package: it holds no data.tar", path);
        return r;
}

int deb_open(const char *path, Deb **out, Error *e) {
        _cleanup_(archive_freep) struct archive *outer = archive_read_new();
        _cleanup_(deb_freep) Deb *d = calloc(1, sizeof(*d));
        Members members = { 0 };
        int r;

        if (!outer || !d)
                return error_errno(e, -ENOMEM, "%s", path);
        archive_read_support_format_ar(outer);
        if (archive_read_open_filename(outer, path, BLOCK) != ARCHIVE_OK)
                return archive_failed(outer, path, "package", e);
        r = read_package(outer, path, d, &members, e);
        d->members = members.items;
        d->n = members.n;
        if (r < 0)
                return r;
        if (d->n)
                qsort(d->members, d->n, sizeof(d->members[0]), member_order);
        for (size_t i = 1; i < d->n; i++)
                if (strcmp(d->members[i - 1].path, d->members[i].path) == 0)
                        return error_set(e, -EBADMSG, "%s: holds %s twice", path, d->members[i].path);
        *out = TAKE_PTR(d);
        return 0;
}

Deb *deb_free(Deb *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n; i++) {
                free(d->members[i].path);
                file_release(&d->members[i].file);
        }
        free(d->members);
        free(d->package);
        free(d->version);
        free(d->architecture);
        free(d->source);
        file_release(&d->changelog);
        free(d);
        return NULL;
}

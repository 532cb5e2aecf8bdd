/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/rebuild.h"
#include "base/clock.h"
#include "base/command.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/vec.h"
#include "snapshot/hash.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_LIST = 64 << 20, MAX_CONTROL = 16 << 20, AR_HEADER = 60 };

/* A path of the package; `real` differs from it where another package diverts it. */
typedef struct Path {
        const char *path, *real;
} Path;

/* A configuration file, and whether it goes into the package. */
typedef struct Conffile {
        const char *path;
        bool kept;
} Conffile;

/* A file with several names, that was written already under this one. */
typedef struct Link {
        dev_t dev;
        ino_t ino;
        const char *path;
} Link;

typedef struct Rebuild {
        const char *root;
        char package[512]; /* NAME:ARCH */
        uint64_t until_usec;
        char *list, *stanza; /* outputs of dpkg-query, cut into lines */
        VEC(Path) paths;
        VEC(Conffile) conffiles;
        VEC(Link) links;
        struct archive *to;
} Rebuild;

static int query(const char *const *argv, size_t max, char **out, Error *e) {
        static const char *const environment[] = { "LC_ALL=C", NULL };
        CommandResult result;
        int r = command_must(&(Command){ .argv = argv, .environment = environment, .output_max = max },
                             &result, e);

        if (r == 0)
                *out = result.output ? result.output : strdup("");
        return r;
}

/* "/." is the root of the package. Lines about diversions follow the path that they are about. */
static int read_paths(Rebuild *b, Error *e) {
        static const char *const notes[] = { "diverted by ",
                                             "locally diverted to: ", "package diverts others to: " };
        char *save = NULL;
        int r = query((const char *const[]){ "dpkg-query", "--listfiles", b->package, NULL }, MAX_LIST,
                      &b->list, e);

        for (char *line = r == 0 ? strtok_r(b->list, "\n", &save) : NULL; line;
             line = strtok_r(NULL, "\n", &save)) {
                const char *to = strstr(line, "to: ");

                if (line[0] == '/') {
                        vec_push(&b->paths, (Path){ line, line });
                        continue;
                }
                if (strncmp(line, notes[2], strlen(notes[2])) == 0)
                        continue;
                if (!b->paths.n || !to ||
                    (strncmp(line, notes[0], strlen(notes[0])) != 0 &&
                     strncmp(line, notes[1], strlen(notes[1])) != 0))
                        return error_set(e, -EPROTO, "dpkg-query --listfiles %s: a line that is no path",
                                         b->package);
                b->paths.items[b->paths.n - 1].real = to + 4;
        }
        return r;
}

static void on_disk(const Rebuild *b, const char *path, char out[PATH_MAX]) {
        snprintf(out, PATH_MAX, "%s%s", strcmp(b->root, "/") == 0 ? "" : b->root, path);
}

/* " /etc/x MD5[ obsolete]": it goes in when it is as it was delivered. */
static void read_conffile(Rebuild *b, char *line) {
        char *save = NULL, *path = strtok_r(line, " ", &save), *md5 = strtok_r(NULL, " ", &save),
             *note = strtok_r(NULL, " ", &save), have[2 * HASH_MAX + 1], real[PATH_MAX];

        if (!path || path[0] != '/' || !md5 || note)
                return; /* an obsolete one is not the package's any more */
        on_disk(b, path, real);
        for (size_t i = 0; i < b->paths.n; i++)
                if (strcmp(b->paths.items[i].path, path) == 0)
                        on_disk(b, b->paths.items[i].real, real);
        vec_push(&b->conffiles,
                 (Conffile){ path, hash_file(real, HASH_MD5, have, NULL) == 0 && strcmp(have, md5) == 0 });
}

/* The control file is what dpkg has of it in its status, without what dpkg itself put there. */
static int read_control(Rebuild *b, const char *version, char **control, size_t *size, Error *e) {
        static const char *const ours[] = { "Status:", "Conffiles:", "Config-Version:", "Triggers-Pending:",
                                            "Triggers-Awaited:" };
        FILE *f = open_memstream(control, size);
        bool skip = false, conffiles = false, same = false;
        char *save = NULL;
        int r = query((const char *const[]){ "dpkg-query", "--status", b->package, NULL }, MAX_CONTROL,
                      &b->stanza, e);

        if (!f)
                return error_errno(e, -ENOMEM, "%s", b->package);
        for (char *line = r == 0 ? strtok_r(b->stanza, "\n", &save) : NULL; line;
             line = strtok_r(NULL, "\n", &save)) {
                if (line[0] != ' ') {
                        skip = false;
                        for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                                skip |= strncmp(line, ours[i], strlen(ours[i])) == 0;
                        conffiles = strncmp(line, "Conffiles:", 10) == 0;
                        same |= strncmp(line, "Version: ", 9) == 0 && strcmp(line + 9, version) == 0;
                } else if (conffiles) {
                        read_conffile(b, line);
                }
                if (!skip)
                        fprintf(f, "%s\n", line);
        }
        if (fclose(f) != 0 && r == 0)
                r = error_errno(e, -ENOMEM, "%s", b->package);
        if (r == 0 && !same)
                r = error_set(e, -ESTALE, "%s: version %s is not what is installed", b->package, version);
        return r;
}

static int archive_failed(Rebuild *b, Error *e) {
        int code = archive_errno(b->to);

        return error_set(e, code > 0 ? -code : -EIO, "%s: %s", b->package, archive_error_string(b->to));
}

static int write_data(Rebuild *b, const void *bytes, size_t n, Error *e) {
        return archive_write_data(b->to, bytes, n) == (la_ssize_t)n ? 0 : archive_failed(b, e);
}

static int write_bytes(Rebuild *b, const char *name, unsigned mode, const void *bytes, size_t n, Error *e) {
        struct archive_entry *entry = archive_entry_new();
        int r = 0;

        archive_entry_set_pathname(entry, name);
        archive_entry_set_mode(entry, mode);
        archive_entry_set_size(entry, (la_int64_t)n);
        archive_entry_set_mtime(entry, (time_t)(wall_usec() / 1000000), 0);
        archive_entry_set_uname(entry, "root");
        archive_entry_set_gname(entry, "root");
        if (archive_write_header(b->to, entry) != ARCHIVE_OK)
                r = archive_failed(b, e);
        if (r == 0 && n)
                r = write_data(b, bytes, n, e);
        archive_entry_free(entry);
        return r;
}

static int write_scripts(Rebuild *b, Error *e) {
        _cleanup_(freep) char *names = NULL;
        char *save = NULL, member[256];
        int r = query((const char *const[]){ "dpkg-query", "--control-list", b->package, NULL }, MAX_CONTROL,
                      &names, e);

        for (char *name = r == 0 ? strtok_r(names, "\n", &save) : NULL; r == 0 && name;
             name = strtok_r(NULL, "\n", &save)) {
                _cleanup_(freep) char *path = NULL;
                FileBytes f = { 0 };
                struct stat st;

                if (strcmp(name, "conffiles") == 0 || strcmp(name, "list") == 0 ||
                    strcmp(name, "control") == 0)
                        continue;
                r = query((const char *const[]){ "dpkg-query", "--control-path", b->package, name, NULL },
                          PATH_MAX, &path, e);
                if (r < 0)
                        break;
                path[strcspn(path, "\n")] = 0;
                if (stat(path, &st) < 0)
                        return error_errno(e, -errno, "%s", path);
                r = file_read(path, MAX_CONTROL, &f, e);
                snprintf(member, sizeof(member), "./%s", name);
                if (r == 0)
                        r = write_bytes(b, member, S_IFREG | (st.st_mode & 0755), f.bytes, f.size, e);
                file_release(&f);
        }
        return r;
}

static int write_conffiles(Rebuild *b, Error *e) {
        char *text = NULL;
        size_t size = 0, n = 0;
        FILE *f = open_memstream(&text, &size);
        int r = 0;

        for (size_t i = 0; f && i < b->conffiles.n; i++)
                if (b->conffiles.items[i].kept) {
                        fprintf(f, "%s\n", b->conffiles.items[i].path);
                        n++;
                }
        if (!f || fclose(f) != 0)
                r = error_errno(e, -ENOMEM, "%s", b->package);
        if (r == 0 && n)
                r = write_bytes(b, "./conffiles", S_IFREG | 0644, text, size, e);
        free(text);
        return r;
}

static int write_content(Rebuild *b, const char *real, const struct stat *st, Error *e) {
        _cleanup_(closep) int fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        char bytes[1 << 16];
        off_t left = st->st_size;
        ssize_t n;
        int r = 0;

        if (fd < 0)
                return error_errno(e, -errno, "%s", real);
        while (r == 0 && left > 0 && (n = read(fd, bytes, (size_t)MIN(left, (off_t)sizeof(bytes)))) > 0) {
                r = write_data(b, bytes, (size_t)n, e);
                left -= n;
        }
        return r == 0 && left ? error_set(e, -EAGAIN, "%s changed while it was read", real) : r;
}

/* The name under which this file was written before; NULL, and noted, when it was not. */
static const char *written_before(Rebuild *b, const struct stat *st, const char *path) {
        for (size_t i = 0; i < b->links.n; i++)
                if (b->links.items[i].dev == st->st_dev && b->links.items[i].ino == st->st_ino)
                        return b->links.items[i].path;
        vec_push(&b->links, (Link){ st->st_dev, st->st_ino, path });
        return NULL;
}

static bool left_out(const Rebuild *b, const char *path) {
        for (size_t i = 0; i < b->conffiles.n; i++)
                if (!b->conffiles.items[i].kept && strcmp(b->conffiles.items[i].path, path) == 0)
                        return true;
        return false;
}

/* Does the list go on below it? Then the package has a folder there, whatever the machine made of it. */
static bool is_folder(const Rebuild *b, size_t i) {
        size_t n = strlen(b->paths.items[i].path);

        return i + 1 < b->paths.n && strncmp(b->paths.items[i + 1].path, b->paths.items[i].path, n) == 0 &&
               b->paths.items[i + 1].path[n] == '/';
}

static int write_path(Rebuild *b, size_t i, Error *e) {
        const char *path = b->paths.items[i].path, *before;
        char real[PATH_MAX], target[PATH_MAX], member[PATH_MAX + 2], first[PATH_MAX + 2];
        struct archive_entry *entry;
        struct stat st;
        ssize_t n;
        int r = 0;

        on_disk(b, b->paths.items[i].real, real);
        if (left_out(b, path))
                return 0;
        if (lstat(real, &st) < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(e, -errno, "%s", real);
        if (S_ISLNK(st.st_mode) && is_folder(b, i) && stat(real, &st) < 0)
                return 0; /* leads nowhere, so nothing is below it either */
        if (S_ISSOCK(st.st_mode))
                return 0;
        entry = archive_entry_new();
        archive_entry_copy_stat(entry, &st);
        snprintf(member, sizeof(member), ".%s", strcmp(path, "/.") == 0 ? "/" : path);
        archive_entry_set_pathname(entry, member);
        if (S_ISLNK(st.st_mode)) {
                n = readlink(real, target, sizeof(target) - 1);
                target[MAX(n, 0)] = 0;
                if (n < 0)
                        r = error_errno(e, -errno, "%s", real);
                archive_entry_set_symlink(entry, target);
        }
        before = S_ISREG(st.st_mode) && st.st_nlink > 1 ? written_before(b, &st, path) : NULL;
        if (before) {
                snprintf(first, sizeof(first), ".%s", before);
                archive_entry_set_hardlink(entry, first);
                archive_entry_unset_size(entry);
        }
        if (r == 0 && archive_write_header(b->to, entry) != ARCHIVE_OK)
                r = archive_failed(b, e);
        if (r == 0 && S_ISREG(st.st_mode) && !before)
                r = write_content(b, real, &st, e);
        archive_entry_free(entry);
        return r;
}

static int write_control_member(Rebuild *b, const char *version, Error *e) {
        _cleanup_(freep) char *control = NULL;
        size_t size = 0;
        int r = read_control(b, version, &control, &size, e);

        if (r == 0)
                r = write_bytes(b, "./control", S_IFREG | 0644, control, size, e);
        if (r == 0)
                r = write_scripts(b, e);
        return r < 0 ? r : write_conffiles(b, e);
}

static int write_data_member(Rebuild *b, const char *version, Error *e) {
        int r = 0;

        (void)version;
        for (size_t i = 0; r == 0 && i < b->paths.n; i++)
                r = b->until_usec && now_usec() >= b->until_usec
                            ? error_set(e, -ETIME, "%s: there is no time left to make a copy", b->package)
                            : write_path(b, i, e);
        return r;
}

static int put(int fd, const void *bytes, size_t n, Error *e) {
        ssize_t w = write(fd, bytes, n);

        return w == (ssize_t)n ? 0 : error_errno(e, w < 0 ? -errno : -ENOSPC, "write");
}

/* A member of the ar file at fd: its header is completed when its size is known. */
static int write_member(Rebuild *b, int fd, const char *name,
                        int (*content)(Rebuild *, const char *, Error *), const char *version, Error *e) {
        off_t at = lseek(fd, 0, SEEK_CUR), end;
        char header[AR_HEADER + 1];
        int r;

        memset(header, ' ', sizeof(header));
        r = put(fd, header, AR_HEADER, e);
        if (r < 0)
                return r;
        b->to = archive_write_new();
        archive_write_set_format_gnutar(b->to); /* dpkg knows no other long names */
        archive_write_add_filter_gzip(b->to);
        archive_write_set_filter_option(b->to, "gzip", "compression-level", "1");
        archive_write_set_bytes_in_last_block(b->to, 1);
        if (archive_write_open_fd(b->to, fd) != ARCHIVE_OK)
                r = archive_failed(b, e);
        if (r == 0)
                r = content(b, version, e);
        if (r == 0 && archive_write_close(b->to) != ARCHIVE_OK)
                r = archive_failed(b, e);
        archive_write_free(b->to);
        b->to = NULL;
        if (r < 0)
                return r;
        end = lseek(fd, 0, SEEK_CUR);
        snprintf(header, sizeof(header), "%-16s%-12llu%-6d%-6d%-8s%-10lld`\n", name,
                 (unsigned long long)(wall_usec() / 1000000), 0, 0, "100644",
                 (long long)(end - at - AR_HEADER));
        if (pwrite(fd, header, AR_HEADER, at) != AR_HEADER)
                return error_errno(e, -EIO, "write");
        return (end - at) % 2 ? put(fd, "\n", 1, e) : 0;
}

static int write_deb(Rebuild *b, int fd, const char *version, Error *e) {
        static const char begin[] =
                "!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n";
        int r = put(fd, begin, sizeof(begin) - 1, e);

        if (r == 0)
                r = read_paths(b, e);
        if (r == 0)
                r = write_member(b, fd, "control.tar.gz", write_control_member, version, e);
        if (r == 0)
                r = write_member(b, fd, "data.tar.gz", write_data_member, version, e);
        if (r == 0 && fsync(fd) < 0)
                r = error_errno(e, -errno, "fsync");
        return r;
}

int rebuild_package(const char *root, const char *name, const char *arch, const char *version,
                    const char *path, uint64_t until_usec, Error *e) {
        Rebuild b = { .root = root, .until_usec = until_usec };
        char temporary[PATH_MAX];
        int fd, r;

        snprintf(b.package, sizeof(b.package), "%s:%s", name, arch);
        if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
                return error_errno(e, -ENAMETOOLONG, "%s", path);
        fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return error_errno(e, -errno, "%s", temporary);
        r = write_deb(&b, fd, version, e);
        close(fd);
        if (r == 0 && rename(temporary, path) < 0)
                r = error_errno(e, -errno, "%s", path);
        if (r < 0)
                unlink(temporary);
        free(b.list);
        free(b.stanza);
        vec_free(&b.paths);
        vec_free(&b.conffiles);
        vec_free(&b.links);
        return r;
}

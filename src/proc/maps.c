/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/maps.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/task.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

typedef struct Scan {
        const char *at, *end;
        bool failed;
} Scan;

static uint64_t scan_number(Scan *s, unsigned base, unsigned max_digits) {
        uint64_t v = 0;
        unsigned digits = 0;

        for (; s->at < s->end; s->at++, digits++) {
                char c = *s->at;
                unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                             : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                    : 16;

                if (d >= base)
                        break;
                if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
                        s->failed = true;
        }
        if (!digits || digits > max_digits)
                s->failed = true;
        return v;
}

static char scan_char(Scan *s) {
        if (s->at >= s->end) {
                s->failed = true;
                return 0;
        }
        return *s->at++;
}

static void scan_expect(Scan *s, char c) {
        if (scan_char(s) != c)
                s->failed = true;
}

static bool scan_flag(Scan *s, char set) {
        char c = scan_char(s);

        if (c != set && c != '-')
                s->failed = true;
        return c == set;
}

/* `line` ends with a NUL in place of the newline, and is owned by the result. */
static int parse_line(char *line, size_t size, Mapping *out) {
        static const char gone[] = " (deleted)";
        Scan s = { .at = line, .end = line + size };
        Mapping m = { 0 };
        size_t n;
        char c;

        m.start = scan_number(&s, 16, 16);
        scan_expect(&s, '-');
        m.end = scan_number(&s, 16, 16);
        scan_expect(&s, ' ');
        m.prot = (uint8_t)((scan_flag(&s, 'r') ? MAP_R : 0) | (scan_flag(&s, 'w') ? MAP_W : 0));
        m.prot |= scan_flag(&s, 'x') ? MAP_X : 0;
        c = scan_char(&s);
        if (c != 'p' && c != 's')
                s.failed = true;
        m.shared = c == 's';
        scan_expect(&s, ' ');
        m.offset = scan_number(&s, 16, 16);
        scan_expect(&s, ' ');
        m.dev_major = (uint32_t)scan_number(&s, 16, 8);
        scan_expect(&s, ':');
        m.dev_minor = (uint32_t)scan_number(&s, 16, 8);
        scan_expect(&s, ' ');
        m.inode = scan_number(&s, 10, 20);
        if (s.failed || m.start >= m.end)
                return -EBADMSG;
        while (s.at < s.end && *s.at == ' ')
                s.at++;
        m.path = s.at;
        n = (size_t)(s.end - s.at);
        if (m.inode && n > sizeof(gone) - 1 &&
            memcmp(s.end - (sizeof(gone) - 1), gone, sizeof(gone) - 1) == 0) {
                line[size - (sizeof(gone) - 1)] = 0;
                m.deleted = true;
        }
        *out = m;
        return 0;
}

int maps_parse(const char *text, size_t size, Maps *out, Error *e) {
        VEC(Mapping) v = { 0 };
        char *copy, *at, *end;
        size_t line = 0;

        if (size > MAPS_MAX_TEXT)
                return error_set(e, -EFBIG, "maps: larger than the limit");
        copy = malloc(size + 1);
        if (!copy)
                return error_errno(e, -ENOMEM, "maps");
        memcpy(copy, text, size);
        copy[size] = 0;
        for (at = copy, end = copy + size; at < end;) {
                char *eol = memchr(at, '\n', (size_t)(end - at));
                Mapping m;

                line++;
                if (!eol)
                        eol = end;
                *eol = 0;
                if (parse_line(at, (size_t)(eol - at), &m) < 0 || (v.n && v.items[v.n - 1].end > m.start)) {
                        free(copy);
                        vec_free(&v);
                        return error_set(e, -EBADMSG, "maps: line %zu is malformed", line);
                }
                vec_push(&v, m);
                at = eol + 1;
        }
        *out = (Maps){ .items = v.items, .n = v.n, .text = copy };
        return 0;
}

int maps_read(pid_t pid, Maps *out, Error *e) {
        _cleanup_(freep) char *text = NULL;
        char path[64];
        size_t n;
        int r;

        snprintf(path, sizeof(path), "/proc/%d/maps", pid);
        r = proc_read(path, MAPS_MAX_TEXT, &text, &n);
        if (r < 0)
                return error_errno(e, r == -ENOENT ? -ESRCH : r, "process %d: maps", pid);
        return maps_parse(text, n, out, e);
}

void maps_free(Maps *m) {
        free(m->items);
        free(m->text);
        *m = (Maps){ 0 };
}

/* Index of the first mapping whose end lies above `addr`. */
static size_t first_above(const Maps *m, uint64_t addr) {
        size_t lo = 0, hi = m->n;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (m->items[mid].end > addr)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        return lo;
}

const Mapping *maps_at(const Maps *m, uint64_t addr) {
        size_t i = first_above(m, addr);

        return i < m->n && m->items[i].start <= addr ? &m->items[i] : NULL;
}

bool maps_vacant(const Maps *m, uint64_t start, uint64_t end) {
        size_t i = first_above(m, start);

        return i == m->n || m->items[i].start >= end;
}

static void name_map_file(pid_t pid, const Mapping *m, char *path, size_t size) {
        snprintf(path, size, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, m->start, m->end);
}

int mapping_stat(pid_t pid, const Mapping *m, struct stat *out) {
        char path[96];

        name_map_file(pid, m, path, sizeof(path));
        return stat(path, out) < 0 ? -errno : 0;
}

int mapping_open(pid_t pid, const Mapping *m) {
        char path[PATH_MAX + 64];
        struct stat st;
        int fd;

        name_map_file(pid, m, path, sizeof(path));
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0 || errno != EPERM)
                return fd >= 0 ? fd : -errno;
        /* map_files needs CAP_CHECKPOINT_RESTORE; the path may lead to another file by now. */
        snprintf(path, sizeof(path), "/proc/%d/exe", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0) {
                if (fstat(fd, &st) == 0 && st.st_ino == m->inode)
                        return fd;
                close(fd);
        }
        if (m->path[0] != '/' || m->deleted)
                return -ENOENT;
        snprintf(path, sizeof(path), "/proc/%d/root%s", pid, m->path);
        fd = file_open_regular(AT_FDCWD, path, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0 || st.st_ino != m->inode) {
                close(fd);
                return -ESTALE;
        }
        return fd;
}

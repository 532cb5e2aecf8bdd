/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/loaded.h"
#include "base/cursor.h"
#include "base/macro.h"
#include "base/vec.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { MAX_PHDRS = 256, MAX_NOTES = 65536 };

bool elf_head_is_32bit(int fd) {
        uint8_t ident[EI_NIDENT];

        return pread(fd, ident, sizeof(ident), 0) == sizeof(ident) && memcmp(ident, ELFMAG, SELFMAG) == 0 &&
               ident[EI_CLASS] == ELFCLASS32;
}

static void read_build_id(int fd, uint64_t offset, uint64_t size, BuildId *out) {
        _cleanup_(freep) uint8_t *bytes = NULL;
        ssize_t got;
        Cursor c;

        if (out->n || size > MAX_NOTES)
                return;
        bytes = malloc(size ? size : 1);
        if (!bytes)
                return;
        got = pread(fd, bytes, size, (off_t)offset);
        c = cursor_make(bytes, got > 0 ? (size_t)got : 0);
        while (cursor_left(&c) >= 12) {
                uint32_t namesz = cursor_u32(&c), descsz = cursor_u32(&c), type = cursor_u32(&c);
                const uint8_t *name = cursor_take(&c, align_up(namesz, 4));
                const uint8_t *desc = cursor_take(&c, descsz);

                if (!name || !desc)
                        return;
                if (type == NT_GNU_BUILD_ID && namesz == 4 && memcmp(name, "GNU", 4) == 0 && descsz &&
                    descsz <= BUILD_ID_MAX) {
                        memcpy(out->bytes, desc, descsz);
                        out->n = descsz;
                        return;
                }
                cursor_take(&c, MIN(align_up(descsz, 4) - descsz, cursor_left(&c)));
        }
}

int elf_head_read(int fd, ElfHead *out) {
        uint8_t ehdr[64], phdrs[MAX_PHDRS * 56];
        ElfHead h = { .lo = UINT64_MAX };
        uint16_t phnum, phentsize;
        uint64_t phoff;
        ssize_t got;
        Cursor c;

        got = pread(fd, ehdr, sizeof(ehdr), 0);
        if (got < 0)
                return -errno;
        if (got != sizeof(ehdr) || memcmp(ehdr, ELFMAG, SELFMAG) != 0 || ehdr[EI_CLASS] != ELFCLASS64 ||
            ehdr[EI_DATA] != ELFDATA2LSB)
                return ELF_HEAD_FOREIGN;
        c = cursor_make(ehdr, sizeof(ehdr));
        cursor_seek(&c, 16);
        h.type = cursor_u16(&c);
        if (cursor_u16(&c) != EM_X86_64)
                return ELF_HEAD_FOREIGN;
        cursor_seek(&c, 24);
        h.entry = cursor_u64(&c);
        phoff = cursor_u64(&c);
        cursor_seek(&c, 54);
        phentsize = cursor_u16(&c);
        phnum = cursor_u16(&c);
        if (phentsize != 56 || phnum > MAX_PHDRS || phoff > INT64_MAX)
                return ELF_HEAD_FOREIGN;
        got = pread(fd, phdrs, (size_t)phnum * 56, (off_t)phoff);
        if (got != (ssize_t)phnum * 56)
                return ELF_HEAD_FOREIGN;
        c = cursor_make(phdrs, (size_t)got);
        for (unsigned i = 0; i < phnum; i++) {
                uint32_t type = cursor_u32(&c), flags = cursor_u32(&c);
                uint64_t offset = cursor_u64(&c), vaddr = cursor_u64(&c), file_size, size, end;

                cursor_u64(&c);
                file_size = cursor_u64(&c);
                size = cursor_u64(&c);
                cursor_u64(&c);
                if (type == PT_DYNAMIC) {
                        h.dynamic = vaddr;
                        h.dynamic_size = size;
                } else if (type == PT_NOTE && offset <= INT64_MAX) {
                        read_build_id(fd, offset, file_size, &h.build_id);
                } else if (type == PT_LOAD && size) {
                        if (h.n_segments == LOADED_MAX_SEGMENTS || file_size > size ||
                            __builtin_add_overflow(vaddr, size, &end) || end > INT64_MAX ||
                            offset > INT64_MAX)
                                return ELF_HEAD_FOREIGN;
                        h.segments[h.n_segments++] = (ImageSegment){ .offset = offset,
                                                                     .addr = vaddr,
                                                                     .file_size = file_size,
                                                                     .size = size,
                                                                     .flags = flags };
                        h.lo = MIN(h.lo, align_down(vaddr, PAGE_SIZE_X86));
                        h.hi = MAX(h.hi, align_up(end, PAGE_SIZE_X86));
                }
        }
        if (!h.n_segments)
                return ELF_HEAD_FOREIGN;
        *out = h;
        return 0;
}

/* The executable segment whose file pages hold a mapping's first page. */
static const ImageSegment *segment_of(const ElfHead *h, const Mapping *m) {
        for (size_t i = 0; i < h->n_segments; i++) {
                const ImageSegment *s = &h->segments[i];
                uint64_t first = align_down(s->offset, PAGE_SIZE_X86);
                uint64_t end = align_up(s->offset + s->file_size, PAGE_SIZE_X86);

                if ((s->flags & PF_X) && m->offset >= first && m->offset < end)
                        return s;
        }
        return NULL;
}

static bool is_unusual(const Loaded *l, const Maps *maps) {
        for (size_t i = 0; i < l->head.n_segments; i++) {
                const ImageSegment *s = &l->head.segments[i];
                uint64_t start = l->base + align_down(s->addr, PAGE_SIZE_X86);
                const Mapping *m;

                if (!(s->flags & PF_X) || !s->file_size)
                        continue;
                m = maps_at(maps, start);
                if (!m || m->start != start || m->end < l->base + s->addr + s->file_size || m->shared ||
                    (m->prot & (MAP_W | MAP_X)) != MAP_X || m->inode != l->text->inode ||
                    m->offset != align_down(s->offset, PAGE_SIZE_X86))
                        return true;
        }
        return false;
}

static int by_base(const void *a, const void *b) {
        uint64_t x = ((const Loaded *)a)->base, y = ((const Loaded *)b)->base;

        return (x > y) - (x < y);
}

enum {
        KNOWN = 64,
        SETTLED_SEC = 2, /* a file may change twice in one tick of the clock that its times are of */
};

/* For many processes with the same images. */
static struct {
        struct stat st;
        ElfHead head;
} heads[KNOWN];
static size_t next_head;

static bool is_same_time(const struct timespec *a, const struct timespec *b) {
        return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool recall(const struct stat *st, ElfHead *out) {
        for (size_t i = 0; i < KNOWN; i++) {
                const struct stat *x = &heads[i].st;

                if (x->st_ino != st->st_ino || x->st_dev != st->st_dev || x->st_size != st->st_size ||
                    !is_same_time(&x->st_ctim, &st->st_ctim) || !is_same_time(&x->st_mtim, &st->st_mtim))
                        continue;
                *out = heads[i].head;
                return true;
        }
        return false;
}

static void remember(const struct stat *st, const ElfHead *head) {
        time_t settled = time(NULL) - SETTLED_SEC;

        if (st->st_ctim.tv_sec >= settled || st->st_mtim.tv_sec >= settled)
                return;
        heads[next_head].st = *st;
        heads[next_head].head = *head;
        next_head = (next_head + 1) % KNOWN;
}

/* Positive: it is no image. */
static int read_head(pid_t pid, const Mapping *m, struct stat *st, ElfHead *out) {
        int fd, r;

        if (mapping_stat(pid, m, st) == 0 && recall(st, out))
                return 0;
        fd = mapping_open(pid, m);
        if (fd < 0)
                return fd;
        r = fstat(fd, st) < 0 ? -errno : elf_head_read(fd, out);
        close(fd);
        if (r == 0)
                remember(st, out);
        return r;
}

int loaded_list(pid_t pid, const Maps *maps, Loaded **out, size_t *n, Error *e) {
        VEC(Loaded) v = { 0 };

        for (size_t i = 0; i < maps->n; i++) {
                const Mapping *m = &maps->items[i];
                const ImageSegment *s;
                Loaded l = { .text = m };
                bool known = false;
                struct stat st;
                int r;

                if (!(m->prot & MAP_X) || !m->inode)
                        continue;
                r = read_head(pid, m, &st, &l.head);
                if (r == -ESRCH) {
                        vec_free(&v);
                        return error_errno(e, r, "process %d", pid);
                }
                if (r)
                        continue; /* gone meanwhile, or unreadable: then it is no image for us */
                l.device = st.st_dev;
                l.inode = st.st_ino;
                s = segment_of(&l.head, m);
                if (!s)
                        continue;
                l.base = m->start - (m->offset - align_down(s->offset, PAGE_SIZE_X86)) -
                         align_down(s->addr, PAGE_SIZE_X86);
                for (size_t k = 0; k < v.n; k++)
                        known |= v.items[k].base == l.base && v.items[k].text->inode == m->inode;
                if (known)
                        continue;
                l.unusual = is_unusual(&l, maps);
                vec_push(&v, l);
        }
        if (v.n)
                qsort(v.items, v.n, sizeof(*v.items), by_base);
        *out = v.items;
        *n = v.n;
        return 0;
}

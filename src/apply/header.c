/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/header.h"
#include "base/cursor.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const uint8_t magic[16] = "staunch-shadow\r";
enum {
        SITE_SIZE = 72,
        RANGE_SIZE = 16,
        VARIABLE_SIZE = 40,
        BOUND_AT = 24,
        TESTIMONY_SIZE = 12,
        USER_SIZE = 24,
        WORD_SIZE = 32
};

void header_free(Header *h) {
        free(h->sites);
        free(h->code);
        free(h->words);
        free(h->variables);
        free(h->testimonies);
        free(h->users);
        free(h->strings);
        *h = (Header){ 0 };
}

void headers_free(Header **h, size_t n) {
        for (size_t i = 0; i < n; i++)
                header_free(&(*h)[i]);
        free(*h);
        *h = NULL;
}

uint64_t header_size(const Header *h) {
        return align_up(HEADER_FIXED + h->n_sites * SITE_SIZE + h->n_code * RANGE_SIZE +
                                h->n_variables * VARIABLE_SIZE + h->n_testimonies * TESTIMONY_SIZE +
                                h->n_users * USER_SIZE + h->n_words * WORD_SIZE + h->strings_size,
                        PAGE_SIZE_X86);
}

uint64_t header_bound_at(const Header *h, size_t i) {
        return HEADER_FIXED + h->n_sites * SITE_SIZE + h->n_code * RANGE_SIZE + i * VARIABLE_SIZE + BOUND_AT;
}

static uint8_t *put(uint8_t *to, const void *from, size_t n) {
        memcpy(to, from, n);
        return to + n;
}
static uint8_t *put32(uint8_t *to, uint64_t v) {
        uint32_t x = (uint32_t)v;

        return put(to, &x, 4);
}
static uint8_t *put64(uint8_t *to, uint64_t v) {
        return put(to, &v, 8);
}

void header_encode_state(const Header *h, uint8_t to[HEADER_STATE_BYTES]) {
        to = put32(to, h->state);
        to = put32(to, h->op);
        to = put64(to, h->txn);
        put64(to, h->self);
}

void header_encode_fixed(const Header *h, uint8_t to[HEADER_FIXED]) {
        uint8_t *p = to;

        memset(to, 0, HEADER_FIXED);
        p = put(p, magic, sizeof(magic));
        p = put32(p, HEADER_VERSION);
        p = put32(p, header_size(h));
        header_encode_state(h, p);
        p += HEADER_STATE_BYTES;
        p = put64(p, h->image_base);
        p = put64(p, h->shadow_base);
        p = put64(p, h->lo);
        p = put64(p, h->hi);
        p = put64(p, h->time_sec);
        p = put32(p, h->n_sites);
        p = put32(p, h->n_code);
        p = put32(p, h->strings_size);
        p = put32(p, h->n_variables);
        p = put32(p, h->n_testimonies);
        p = put32(p, h->n_users);
        p = put32(p, h->n_words);
        p = put(p, h->digest, sizeof(h->digest));
        p = put32(p, h->old_id.n);
        p = put(p, h->old_id.bytes, BUILD_ID_MAX);
        p = put32(p, h->new_id.n);
        p = put(p, h->new_id.bytes, BUILD_ID_MAX);
        p = put(p, h->name, sizeof(h->name));
        p = put32(p, h->way_back);
        p = put(p, h->way_back_why, sizeof(h->way_back_why));
        put32(p, h->startup_only);
}

void header_encode(const Header *h, uint8_t *to) {
        header_encode_fixed(h, to);
        to += HEADER_FIXED;
        for (size_t i = 0; i < h->n_sites; i++) {
                const HeaderSite *s = &h->sites[i];

                to = put64(to, s->old_addr);
                to = put64(to, s->new_addr);
                to = put64(to, s->patch_addr);
                to = put64(to, s->jump_addr);
                to = put32(to, s->n);
                to = put32(to, s->name);
                to = put(to, s->before, PATCH_SITE_BYTES);
                to = put(to, s->after, PATCH_SITE_BYTES);
        }
        for (size_t i = 0; i < h->n_code; i++) {
                to = put64(to, h->code[i].addr);
                to = put64(to, h->code[i].size);
        }
        for (size_t i = 0; i < h->n_variables; i++) {
                const HeaderVariable *v = &h->variables[i];

                to = put64(to, v->addr);
                to = put64(to, v->size);
                to = put64(to, v->initial);
                to = put64(to, v->bound);
                to = put32(to, v->align);
                to = put32(to, v->name);
        }
        for (size_t i = 0; i < h->n_testimonies; i++) {
                to = put64(to, h->testimonies[i].key);
                to = put32(to, h->testimonies[i].variable);
        }
        for (size_t i = 0; i < h->n_users; i++) {
                to = put64(to, h->users[i].old_addr);
                to = put64(to, h->users[i].content);
                to = put64(to, h->users[i].shape);
        }
        for (size_t i = 0; i < h->n_words; i++) {
                to = put64(to, h->words[i].where);
                to = put64(to, h->words[i].old_value);
                to = put64(to, h->words[i].value);
                to = put64(to, h->words[i].shadow);
        }
        put(to, h->strings, h->strings_size);
}

static void take_into(Cursor *c, void *to, size_t n) {
        const uint8_t *p = cursor_take(c, n);

        if (p)
                memcpy(to, p, n);
}

static void take_id(Cursor *c, BuildId *id) {
        id->n = cursor_u32(c);
        take_into(c, id->bytes, BUILD_ID_MAX);
        if (id->n > BUILD_ID_MAX)
                c->failed = true;
}

static void take_variables(Cursor *c, Header *h) {
        for (size_t i = 0; i < h->n_variables && !c->failed; i++) {
                HeaderVariable *v = &h->variables[i];

                v->addr = cursor_u64(c);
                v->size = cursor_u64(c);
                v->initial = cursor_u64(c);
                v->bound = cursor_u64(c);
                v->align = cursor_u32(c);
                v->name = cursor_u32(c);
                if (v->addr < h->lo || v->size > h->hi - h->lo || v->addr > h->hi - v->size ||
                    v->name >= h->strings_size)
                        c->failed = true;
        }
        for (size_t i = 0; i < h->n_testimonies && !c->failed; i++) {
                h->testimonies[i].key = cursor_u64(c);
                h->testimonies[i].variable = cursor_u32(c);
                if (h->testimonies[i].variable >= h->n_variables ||
                    (i && h->testimonies[i - 1].key > h->testimonies[i].key))
                        c->failed = true;
        }
        for (size_t i = 0; i < h->n_users && !c->failed; i++) {
                h->users[i].old_addr = cursor_u64(c);
                h->users[i].content = cursor_u64(c);
                h->users[i].shape = cursor_u64(c);
        }
}

int header_decode(const uint8_t *bytes, size_t size, Header *out) {
        Cursor c = cursor_make(bytes, size);
        const uint8_t *p = cursor_take(&c, sizeof(magic));
        _cleanup_(header_free) Header h = { 0 };

        if (!p || memcmp(p, magic, sizeof(magic)) != 0 || cursor_u32(&c) != HEADER_VERSION)
                return -EBADMSG;
        h.size = cursor_u32(&c);
        h.state = (PatchState)cursor_u32(&c);
        h.op = (HeaderOp)cursor_u32(&c);
        h.txn = cursor_u64(&c);
        h.self = cursor_u64(&c);
        h.image_base = cursor_u64(&c);
        h.shadow_base = cursor_u64(&c);
        h.lo = cursor_u64(&c);
        h.hi = cursor_u64(&c);
        h.time_sec = cursor_u64(&c);
        h.n_sites = cursor_u32(&c);
        h.n_code = cursor_u32(&c);
        h.strings_size = cursor_u32(&c);
        h.n_variables = cursor_u32(&c);
        h.n_testimonies = cursor_u32(&c);
        h.n_users = cursor_u32(&c);
        h.n_words = cursor_u32(&c);
        take_into(&c, h.digest, sizeof(h.digest));
        take_id(&c, &h.old_id);
        take_id(&c, &h.new_id);
        take_into(&c, h.name, sizeof(h.name));
        h.way_back = (WayBack)cursor_u32(&c);
        take_into(&c, h.way_back_why, sizeof(h.way_back_why));
        h.startup_only = cursor_u32(&c) != 0;
        if (c.failed || h.state < PATCH_STATE_STAGED || h.state > PATCH_STATE_REVERTED ||
            h.op > OP_REPLACED || h.n_sites > PATCH_MAX_SITES || h.n_code > PATCH_MAX_SECTIONS ||
            h.strings_size > HEADER_MAX_SIZE || h.n_variables > PATCH_MAX_VARIABLES ||
            h.n_testimonies > PATCH_MAX_TESTIMONIES || h.n_users > PATCH_MAX_USERS ||
            h.n_words > PATCH_MAX_WORDS || h.size != header_size(&h) || h.size > HEADER_MAX_SIZE ||
            h.lo > h.hi || h.hi - h.lo > PATCH_MAX_SPAN || memchr(h.name, 0, sizeof(h.name)) == NULL ||
            h.way_back > WAY_BACK_UNPROVED || memchr(h.way_back_why, 0, sizeof(h.way_back_why)) == NULL)
                return -EBADMSG;
        cursor_seek(&c, HEADER_FIXED);
        h.sites = calloc(h.n_sites + 1, sizeof(*h.sites));
        h.code = calloc(h.n_code + 1, sizeof(*h.code));
        h.strings = calloc(h.strings_size + 1, 1);
        h.variables = calloc(h.n_variables + 1, sizeof(*h.variables));
        h.testimonies = calloc(h.n_testimonies + 1, sizeof(*h.testimonies));
        h.users = calloc(h.n_users + 1, sizeof(*h.users));
        h.words = calloc(h.n_words + 1, sizeof(*h.words));
        if (!h.words || !h.sites || !h.code || !h.strings || !h.variables || !h.testimonies || !h.users)
                return -ENOMEM;
        for (size_t i = 0; i < h.n_sites && !c.failed; i++) {
                HeaderSite *s = &h.sites[i];
                uint32_t n;

                s->old_addr = cursor_u64(&c);
                s->new_addr = cursor_u64(&c);
                s->patch_addr = cursor_u64(&c);
                s->jump_addr = cursor_u64(&c);
                n = cursor_u32(&c);
                s->n = (uint8_t)n;
                s->name = cursor_u32(&c);
                take_into(&c, s->before, PATCH_SITE_BYTES);
                take_into(&c, s->after, PATCH_SITE_BYTES);
                if (!n || n > PATCH_SITE_BYTES || s->name >= h.strings_size)
                        c.failed = true;
        }
        for (size_t i = 0; i < h.n_code && !c.failed; i++) {
                h.code[i].addr = cursor_u64(&c);
                h.code[i].size = cursor_u64(&c);
                if (h.code[i].addr < h.lo || h.code[i].size > h.hi - h.lo ||
                    h.code[i].addr > h.hi - h.code[i].size)
                        c.failed = true;
        }
        take_variables(&c, &h);
        for (size_t i = 0; i < h.n_words && !c.failed; i++) {
                h.words[i].where = cursor_u64(&c);
                h.words[i].old_value = cursor_u64(&c);
                h.words[i].value = cursor_u64(&c);
                h.words[i].shadow = cursor_u64(&c) != 0;
        }
        take_into(&c, h.strings, h.strings_size);
        if (c.failed)
                return -EBADMSG;
        *out = h;
        h = (Header){ 0 };
        return 0;
}

/* The device of all memfds, which no file system that is mounted has. */
static uint64_t memfd_device(void) {
        static uint64_t device;
        struct stat st;
        int fd;

        if (device)
                return device;
        fd = memfd_create("staunch:device", MFD_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) == 0)
                device = st.st_dev;
        closep(&fd);
        return device;
}

/* A shadow begins with its header: at the start of a mapping of a memfd of ours, or of a read-only
 * anonymous one. */
static bool may_hold(const Mapping *m) {
        if ((m->prot & (MAP_R | MAP_W | MAP_X)) != MAP_R || m->shared)
                return false;
        if (m->path[0] == 0 || strncmp(m->path, "[anon:", 6) == 0)
                return true;
        /* A file of that name may lie on a file system that never answers. */
        return m->inode && m->offset == 0 && strncmp(m->path, "/memfd:staunch:", 15) == 0 &&
               makedev(m->dev_major, m->dev_minor) == memfd_device();
}

/* The page at `addr` is one of the file, not a private copy. When that cannot be told: false. */
static bool is_file_page(int pagemap, uint64_t addr) {
        enum { PRESENT = 63, SWAPPED = 62, FILE_OR_SHARED = 61 };
        uint64_t entry;

        if (pread(pagemap, &entry, sizeof(entry), (off_t)(addr / PAGE_SIZE_X86 * sizeof(entry))) !=
            sizeof(entry))
                return false;
        if (!(entry >> PRESENT & 1))
                return !(entry >> SWAPPED & 1);
        return entry >> FILE_OR_SHARED & 1;
}

/* Only who may write to the process has made this page. One of a file that it was given, and maps to read, is
 * what somebody else says. */
static bool is_own_page(pid_t pid, uint64_t addr) {
        char path[64];
        bool own;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return true; /* a kernel without it: what it says of its place has to do */
        own = !is_file_page(fd, addr);
        close(fd);
        return own;
}

int header_find(pid_t pid, const Maps *maps, Header **out, size_t *n, Error *e) {
        VEC(Header) v = { 0 };
        size_t sum = 0, seen = 0; /* also of what is no header: it costs the same */

        for (size_t i = 0; i < maps->n; i++) {
                const Mapping *m = &maps->items[i];
                _cleanup_(freep) uint8_t *bytes = NULL;
                uint8_t first[24];
                uint32_t size;
                Header h;

                if (!may_hold(m) || mem_read_some(pid, m->start, first, sizeof(first)) < sizeof(first) ||
                    memcmp(first, magic, sizeof(magic)) != 0)
                        continue;
                memcpy(&size, first + 20, sizeof(size));
                if (size > HEADER_MAX_SIZE || size < HEADER_FIXED)
                        continue;
                sum += size;
                if (seen++ == HEADERS_MAX || sum > HEADERS_MAX_SIZE) {
                        headers_free(&v.items, v.n);
                        return error_set(e, -E2BIG, "process %d: more is said of patches than can be", pid);
                }
                bytes = malloc(size);
                if (!bytes || mem_read_some(pid, m->start, bytes, size) < size ||
                    header_decode(bytes, size, &h) < 0)
                        continue;
                if (h.self != m->start || !is_own_page(pid, m->start)) {
                        header_free(&h);
                        continue;
                }
                vec_push(&v, h);
        }
        *out = v.items;
        *n = v.n;
        return 0;
}

/* Its first entry is as it was before: a tracer's probe makes a private copy of a page, too. */
static bool is_undone(pid_t pid, const Header *h) {
        const HeaderSite *s = &h->sites[0];
        uint8_t have[PATCH_SITE_BYTES];

        return h->state == PATCH_STATE_ACTIVE &&
               mem_read_code(pid, h->image_base + s->patch_addr, have, s->n) == 0 &&
               memcmp(have, s->before, s->n) == 0;
}

bool header_is_current(pid_t pid, const Header *h, const Loaded *loaded, size_t n) {
        char path[64];
        bool fresh;
        int fd;

        for (size_t i = 0; i < n; i++) {
                if (loaded[i].base != h->image_base || !build_id_equal(&loaded[i].head.build_id, &h->old_id))
                        continue;
                if (!h->n_sites || (h->state != PATCH_STATE_ACTIVE && h->state != PATCH_STATE_REVERTED))
                        return true;
                snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        return true;
                fresh = is_file_page(fd, h->image_base + h->sites[0].patch_addr) || is_undone(pid, h);
                close(fd);
                return !fresh;
        }
        return false;
}

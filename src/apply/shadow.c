/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/shadow.h"
#include "apply/chain.h"
#include "base/macro.h"
#include "base/vec.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static bool starts_with(const char *s, const char *prefix) {
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Relocated once, read-only after: the engine writes it, the process does not. */
static bool is_writable(const PatchSection *s) {
        return (s->flags & SHF_WRITE) && !starts_with(s->name, ".data.rel.ro") &&
               !starts_with(s->name, ".got");
}

static uint64_t count_code(const Patch *p) {
        uint64_t n = 0;

        for (size_t i = 0; i < p->n_sections; i++)
                n += (p->sections[i].flags & SHF_EXECINSTR) && p->sections[i].size;
        return n;
}

static uint64_t names_size(const Patch *p) {
        uint64_t n = 1;

        for (size_t i = 0; i < p->n_sites; i++)
                n += strlen(p->sites[i].name) + 1;
        for (size_t i = 0; i < p->n_variables; i++)
                n += strlen(p->variables[i].name) + 1;
        return n;
}

uint64_t shadow_lo(const Patch *p) {
        Header h = { .n_sites = p->n_sites,
                     .n_code = count_code(p),
                     .strings_size = names_size(p),
                     .n_variables = p->n_variables,
                     .n_testimonies = p->n_testimonies,
                     .n_users = p->n_users,
                     .n_words = p->n_words };

        return p->lo - header_size(&h);
}

/* Joins sections into runs of pages with one protection. */
static int make_pieces(Shadow *s, Error *e) {
        const Patch *p = s->patch;
        VEC(ShadowPiece) v = { 0 };
        uint64_t at = s->header_size;

        for (size_t i = 0; i < p->n_sections; i++) {
                const PatchSection *x = &p->sections[i];
                int prot = PROT_READ | (is_writable(x) ? PROT_WRITE : 0) |
                           (x->flags & SHF_EXECINSTR ? PROT_EXEC : 0);
                uint64_t first = align_down(x->addr, PAGE_SIZE_X86),
                         end = align_up(x->addr + x->size, PAGE_SIZE_X86);
                ShadowPiece *last;

                if (!x->size || !(x->flags & SHF_ALLOC))
                        continue;
                last = v.n ? &v.items[v.n - 1] : NULL;
                if (last && first < last->addr + last->size && prot != last->prot) {
                        /* The page where two protections meet. Code and constants may share one. */
                        ShadowPiece meet = { .addr = first,
                                             .size = PAGE_SIZE_X86,
                                             .prot = prot | last->prot };

                        last->size -= PAGE_SIZE_X86;
                        if (!last->size)
                                v.n--;
                        vec_push(&v, meet);
                        first += PAGE_SIZE_X86;
                }
                if (first < end) {
                        last = v.n ? &v.items[v.n - 1] : NULL;
                        if (last && last->prot == prot && first <= last->addr + last->size)
                                last->size = MAX(last->addr + last->size, end) - last->addr;
                        else if (!last || last->addr + last->size < end) {
                                first = last ? MAX(first, last->addr + last->size) : first;
                                vec_push(&v,
                                         (ShadowPiece){ .addr = first, .size = end - first, .prot = prot });
                        }
                }
        }
        s->pieces = v.items;
        s->n_pieces = v.n;
        for (size_t i = 0; i < v.n; i++) {
                if ((v.items[i].prot & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC))
                        return error_set(e, -EINVAL, "patch %s: code and variables share the page at 0x%llx",
                                         p->name, (unsigned long long)v.items[i].addr);
                v.items[i].offset = at;
                at += v.items[i].size;
        }
        s->content_size = at;
        return 0;
}

size_t shadow_offset(const Shadow *s, uint64_t addr, uint64_t size) {
        for (size_t i = 0; i < s->n_pieces; i++) {
                const ShadowPiece *p = &s->pieces[i];
                uint64_t in = addr - p->addr;

                if (addr >= p->addr && in < p->size) {
                        if (size <= p->size - in)
                                return p->offset + in;
                        /* pieces that touch lie behind one another in the content, too */
                        if (i + 1 < s->n_pieces && p->addr + p->size == s->pieces[i + 1].addr &&
                            size - (p->size - in) <= s->pieces[i + 1].size)
                                return p->offset + in;
                        return SIZE_MAX;
                }
        }
        return SIZE_MAX;
}

static int fill_sections(Shadow *s, Error *e) {
        const Patch *p = s->patch;

        for (size_t i = 0; i < p->n_sections; i++) {
                const PatchSection *x = &p->sections[i];
                uint64_t done = 0;

                if (x->type == SHT_NOBITS || !x->bytes || !(x->flags & SHF_ALLOC))
                        continue;
                while (done < x->size) { /* a section may reach over several pieces */
                        uint64_t addr = x->addr + done;
                        uint64_t n =
                                MIN(x->size - done, align_down(addr, PAGE_SIZE_X86) + PAGE_SIZE_X86 - addr);
                        size_t at = shadow_offset(s, addr, n);

                        if (at == SIZE_MAX)
                                return error_set(e, -EINVAL, "patch %s: section %s lies outside", p->name,
                                                 x->name);
                        memcpy(s->content + at, x->bytes + done, n);
                        done += n;
                }
        }
        return 0;
}

/* Applies what does not depend on the process; lists the rest. */
static int relocate(Shadow *s, Error *e) {
        const Patch *p = s->patch;
        VEC(size_t) late = { 0 };
        int r = 0;

        for (size_t i = 0; i < p->n_relocs && r == 0; i++) {
                const PatchReloc *x = &p->relocs[i];
                bool relative = x->type == R_X86_64_PC32 || x->type == R_X86_64_PLT32;
                size_t at = shadow_offset(s, x->where, x->type == R_X86_64_64 ? 8 : 4);
                int64_t v;
                int32_t field;

                if (at == SIZE_MAX || (!relative && x->type != R_X86_64_64 && x->type != R_X86_64_32 &&
                                       x->type != R_X86_64_32S)) {
                        r = error_set(e, -EINVAL, "patch %s: relocation %zu cannot be applied", p->name, i);
                        break;
                }
                if (!relative || x->base == PATCH_BASE_IMPORT) {
                        vec_push(&late, i);
                        continue;
                }
                v = (int64_t)(x->value + (uint64_t)x->addend - x->where);
                if (x->base == PATCH_BASE_OLD)
                        v -= s->delta;
                field = (int32_t)v;
                if (field != v)
                        r = SHADOW_FAR;
                memcpy(s->content + at, &field, sizeof(field));
        }
        s->late = late.items;
        s->n_late = late.n;
        return r;
}

static int make_jumps(Shadow *s, Error *e) {
        for (size_t i = 0; i < s->patch->n_sites; i++) {
                const PatchSite *x = &s->patch->sites[i];
                HeaderSite *h = &s->header.sites[i];
                uint64_t at = x->jump_addr - x->patch_addr;
                int64_t far = (int64_t)(x->new_addr + (uint64_t)s->delta - (x->jump_addr + 5));
                int64_t near = (int64_t)(x->jump_addr - (x->patch_addr + x->short_at + 2));
                int32_t field = (int32_t)far;

                *h = (HeaderSite){ .old_addr = x->old_addr,
                                   .new_addr = x->new_addr,
                                   .patch_addr = x->patch_addr,
                                   .jump_addr = x->jump_addr,
                                   .n = x->n_expect };
                if (x->n_expect > PATCH_SITE_BYTES || at > x->n_expect || x->n_expect - at < 5)
                        return error_set(e, -EINVAL, "patch %s: site %s is malformed", s->patch->name,
                                         x->name);
                memcpy(h->before, x->expect, x->n_expect);
                memcpy(h->after, x->expect, x->n_expect);
                if (field != far)
                        return SHADOW_FAR;
                h->after[at] = 0xe9;
                memcpy(h->after + at + 1, &field, sizeof(field));
                if (x->short_at == 0xff)
                        continue;
                if (x->short_at + 2U > x->n_expect || near != (int8_t)near ||
                    (x->short_at + 2U > at && x->short_at < at + 5))
                        return error_set(e, -EINVAL, "patch %s: site %s is malformed", s->patch->name,
                                         x->name);
                h->after[x->short_at] = 0xeb;
                h->after[x->short_at + 1] = (uint8_t)near;
        }
        return 0;
}

/* What is to be known of the patch as long as the process has it, though its file may be gone. */
static void set_verdict(Header *h, const Verdict *v) {
        h->way_back = WAY_BACK_PROVED;
        for (size_t i = 0; i < v->n; i++) {
                const Finding *f = &v->findings[i];

                h->startup_only |= f->code == REFUSAL_CODE_STARTUP_ONLY;
                if (f->code != REFUSAL_CODE_REVERT_UNPROVED || h->way_back == WAY_BACK_UNPROVED)
                        continue;
                h->way_back = WAY_BACK_UNPROVED;
                snprintf(h->way_back_why, sizeof(h->way_back_why), "%s: %s", f->subject, f->detail);
        }
}

static int make_header(Shadow *s, Error *e) {
        const Patch *p = s->patch;
        Header *h = &s->header;
        size_t at = 1;
        int r;

        h->state = PATCH_STATE_STAGED;
        h->lo = p->lo;
        h->hi = p->hi;
        memcpy(h->digest, p->digest, sizeof(h->digest));
        h->old_id = p->old_id;
        h->new_id = p->new_id;
        snprintf(h->name, sizeof(h->name), "%s", p->name);
        set_verdict(h, &p->verdict);
        h->n_sites = p->n_sites;
        h->n_code = count_code(p);
        h->strings_size = names_size(p);
        h->sites = calloc(h->n_sites + 1, sizeof(*h->sites));
        h->code = calloc(h->n_code + 1, sizeof(*h->code));
        h->strings = calloc(h->strings_size + 1, 1);
        h->n_variables = p->n_variables;
        h->variables = calloc(h->n_variables + 1, sizeof(*h->variables));
        h->n_testimonies = p->n_testimonies;
        h->testimonies = calloc(h->n_testimonies + 1, sizeof(*h->testimonies));
        h->n_users = p->n_users;
        h->users = calloc(h->n_users + 1, sizeof(*h->users));
        h->n_words = p->n_words;
        h->words = calloc(h->n_words + 1, sizeof(*h->words));
        if (!h->words || !h->sites || !h->code || !h->strings || !h->variables || !h->testimonies ||
            !h->users)
                return error_errno(e, -ENOMEM, "patch %s", p->name);
        r = make_jumps(s, e);
        if (r)
                return r;
        h->n_code = 0;
        for (size_t i = 0; i < p->n_sections; i++) {
                const PatchSection *x = &p->sections[i];

                if ((x->flags & SHF_EXECINSTR) && x->size)
                        h->code[h->n_code++] = (HeaderRange){ x->addr, x->size };
        }
        for (size_t i = 0; i < p->n_sites; i++) {
                size_t n = strlen(p->sites[i].name) + 1;

                memcpy(h->strings + at, p->sites[i].name, n);
                h->sites[i].name = (uint32_t)at;
                at += n;
        }
        for (size_t i = 0; i < p->n_variables; i++) {
                const PatchVariable *v = &p->variables[i];
                size_t n = strlen(v->name) + 1;

                h->variables[i] = (HeaderVariable){ .addr = v->addr,
                                                    .size = v->size,
                                                    .initial = v->initial,
                                                    .align = v->align,
                                                    .name = (uint32_t)at };
                memcpy(h->strings + at, v->name, n);
                at += n;
        }
        if (p->n_testimonies)
                memcpy(h->testimonies, p->testimonies, p->n_testimonies * sizeof(*h->testimonies));
        if (p->n_users)
                memcpy(h->users, p->users, p->n_users * sizeof(*h->users));
        for (size_t i = 0; i < p->n_words; i++)
                h->words[i] = (HeaderWord){ .where = p->words[i].where,
                                            .old_value = p->words[i].old_value,
                                            .value = p->words[i].value,
                                            .shadow = p->words[i].base == PATCH_BASE_SHADOW };
        s->header_size = header_size(h);
        return 0;
}

/* Behind what lies in the last page of a piece of code. */
static void place_chain(Shadow *s) {
        const Patch *p = s->patch;

        for (size_t i = 0; i < s->n_pieces && !s->chain_addr; i++) {
                const ShadowPiece *x = &s->pieces[i];
                uint64_t used = x->addr, end = x->addr + x->size;

                for (size_t k = 0; k < p->n_sections; k++)
                        if ((p->sections[k].flags & SHF_ALLOC) && p->sections[k].addr < end)
                                used = MAX(used, MIN(p->sections[k].addr + p->sections[k].size, end));
                used = align_up(used, 16);
                if (!(x->prot & PROT_EXEC) || used + chain_size() > end)
                        continue;
                s->chain_addr = used;
                chain_write(s->content + x->offset + (used - x->addr), (int64_t)(shadow_lo(p) - used));
        }
}

/* Negative errno when the system does not give one; then nothing is shared. */
static int make_memfd(const Shadow *s) {
        char name[128];
        size_t at = 0;
        int fd;

        snprintf(name, sizeof(name), "staunch:%s", s->patch->name);
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x0010 /* MFD_EXEC */);
        if (fd < 0 && errno == EINVAL)
                fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        while (at < s->content_size) {
                ssize_t n = pwrite(fd, s->content + at, s->content_size - at, (off_t)at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        int r = n < 0 ? -errno : -EIO;

                        close(fd);
                        return r;
                }
                at += (size_t)n;
        }
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        return fd;
}

int shadow_new(const Patch *p, int64_t delta, bool share, Shadow **out, Error *e) {
        Shadow *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return error_errno(e, -ENOMEM, "patch %s", p->name);
        s->patch = p;
        s->delta = delta;
        s->memfd = -1;
        s->no_sharing = !share;
        r = make_header(s, e);
        if (r == 0)
                r = make_pieces(s, e);
        if (r == 0 && !(s->content = calloc(1, s->content_size)))
                r = error_errno(e, -ENOMEM, "patch %s", p->name);
        if (r == 0)
                r = fill_sections(s, e);
        if (r == 0)
                r = relocate(s, e);
        if (r) {
                shadow_free(s);
                return r;
        }
        place_chain(s);
        header_encode(&s->header, s->content);
        if (share)
                s->memfd = make_memfd(s);
        *out = s;
        return 0;
}

void shadow_free(Shadow *s) {
        if (!s)
                return;
        header_free(&s->header);
        free(s->content);
        free(s->pieces);
        free(s->late);
        if (s->memfd >= 0)
                close(s->memfd);
        free(s);
}

enum { STEP = 256 << 20 };
static const uint64_t reach = (UINT64_C(1) << 31) - (1 << 20);

typedef struct Near { /* what the shadow must reach */
        uint64_t base, lo, hi;
        const Maps *maps;
} Near;

static bool fits(const Patch *p, const Near *near, int64_t delta, uint64_t *start_out) {
        const Maps *maps = near->maps;
        uint64_t base = near->base, image_lo = near->lo, image_hi = near->hi;
        uint64_t start = base + (uint64_t)delta + shadow_lo(p), end = base + (uint64_t)delta + p->hi;

        if (start >= end || end > UINT64_C(0x7ffffffff000) || start < UINT64_C(0x100000))
                return false;
        if (MAX(image_hi, end) - MIN(image_lo, start) > reach)
                return false;
        if (p->low_addresses && end > reach)
                return false;
        for (size_t i = 0; i < maps->n; i++) /* leave the main stack its room to grow */
                if (strcmp(maps->items[i].path, "[stack]") == 0 && start < maps->items[i].end &&
                    end > maps->items[i].start - STEP)
                        return false;
        *start_out = start;
        return maps_vacant(maps, start, end);
}

size_t place_candidates(const Patch *p, uint64_t base, const Maps *maps, uint64_t lo, uint64_t hi,
                        int64_t out[PLACE_MAX]) {
        const Near near = { .base = base,
                            .lo = hi ? MIN(lo, base + p->old_lo) : base + p->old_lo,
                            .hi = MAX(hi, base + p->old_hi),
                            .maps = maps };
        uint64_t size = p->hi - shadow_lo(p), start;
        size_t n = 0;

        for (int k = 1; k < 8; k++)
                if (fits(p, &near, -(int64_t)k * STEP, &start))
                        out[n++] = -(int64_t)k * STEP;
        /* Above an executable lies its heap: far ones first. */
        for (int k = 1; k < 8 && n < 8; k++) {
                int64_t delta = (int64_t)(p->executable ? 8 - k : k) * STEP;

                if (fits(p, &near, delta, &start))
                        out[n++] = delta;
        }
        /* Any gap at all: not the same place as in other processes, so nothing will be shared. */
        for (size_t i = 0; i < maps->n && n < PLACE_MAX; i++) {
                uint64_t below = maps->items[i].start, above = maps->items[i].end;
                int64_t delta;

                delta = (int64_t)(below - size - PAGE_SIZE_X86 - shadow_lo(p) - base);
                if (below > size + PAGE_SIZE_X86 && fits(p, &near, delta, &start) && n < PLACE_MAX)
                        out[n++] = delta;
                delta = (int64_t)(above + PAGE_SIZE_X86 - shadow_lo(p) - base);
                if (n < PLACE_MAX && fits(p, &near, delta, &start))
                        out[n++] = delta;
        }
        return n;
}

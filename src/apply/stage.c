/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/stage.h"
#include "apply/chain.h"
#include "apply/fault.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/mem.h"

#include <elf.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SCRATCH = 4096, MSG_AT = 0, IOV_AT = 64, BYTE_AT = 96, CONTROL_AT = 128, PAIR_AT = 256 };

static int call(Remote *r, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t f, uint64_t g,
                int64_t *result) {
        const uint64_t args[6] = { a, b, c, d, f, g };

        return remote_call(r, nr, args, result);
}

uint64_t stage_gate(pid_t pid, const Maps *maps) {
        static const uint8_t insn[] = { 0x0f, 0x05 };
        enum { CHUNK = 65536 };
        _cleanup_(freep) uint8_t *bytes = malloc(CHUNK);

        for (unsigned round = 0; bytes && round < 2; round++)
                for (size_t i = 0; i < maps->n; i++) {
                        const Mapping *m = &maps->items[i];
                        bool vdso = strcmp(m->path, "[vdso]") == 0;

                        if (!(m->prot & MAP_X) || (m->prot & MAP_W) || m->shared ||
                            (round == 0 ? !vdso : !m->inode))
                                continue;
                        for (uint64_t at = m->start; at < m->end; at += CHUNK) {
                                size_t n = mem_read_some(pid, at, bytes, MIN(CHUNK, m->end - at));
                                const uint8_t *p = n ? memmem(bytes, n, insn, sizeof(insn)) : NULL;

                                if (p)
                                        return at + (uint64_t)(p - bytes);
                        }
                }
        return 0;
}

void stage_unmap(Remote *remote, uint64_t start, uint64_t end) {
        int64_t result;

        call(remote, SYS_munmap, start, end - start, 0, 0, 0, 0, &result);
}

/* Our descriptor in the process, and the two that it came by; -1: none. */
typedef struct Passed {
        int32_t fd, pair[2];
} Passed;

/* The number leads to our file: other threads may close and open what they like. */
static bool is_ours(const Remote *r, int32_t there, int here) {
        return there >= 0 && syscall(SYS_kcmp, r->tid, getpid(), KCMP_FILE, there, here) == 0;
}

/* Sends our memfd through a socket pair of the process. Positive when that is not possible, and the memory
 * has to be private. What is in *out is to be closed in any case. */
static int pass_fd(Remote *r, int mem_fd, uint64_t scratch, int fd, Passed *out) {
        union {
                struct cmsghdr h;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {
                .h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
        };
        char byte = 0;
        struct iovec iov = { &byte, 1 };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control.bytes) };
        _cleanup_(closep) int pidfd = -1, ours = -1;
        struct iovec there_iov = { (void *)(uintptr_t)(scratch + BYTE_AT), 1 };
        struct msghdr there = { .msg_iov = (void *)(uintptr_t)(scratch + IOV_AT),
                                .msg_iovlen = 1,
                                .msg_control = (void *)(uintptr_t)(scratch + CONTROL_AT),
                                .msg_controllen = sizeof(control.bytes) };
        int64_t result;
        int q;

        if (r->tid != r->pid && syscall(SYS_kcmp, r->pid, r->tid, KCMP_FILES, 0, 0) != 0)
                return 1; /* this thread has descriptors of its own */
        pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
        if (pidfd < 0)
                return 1;
        q = call(r, SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scratch + PAIR_AT, 0, 0, &result);
        if (q < 0 || result < 0)
                return q < 0 ? q : 1;
        q = mem_read_fd(mem_fd, scratch + PAIR_AT, out->pair, sizeof(out->pair));
        if (q < 0)
                return q;
        ours = (int)syscall(SYS_pidfd_getfd, pidfd, out->pair[0], 0);
        memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
        if (ours < 0 || sendmsg(ours, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 ||
            mem_write(mem_fd, scratch + IOV_AT, &there_iov, sizeof(there_iov)) != 0 ||
            mem_write(mem_fd, scratch + MSG_AT, &there, sizeof(there)) != 0)
                return 1;
        q = call(r, SYS_recvmsg, (uint64_t)out->pair[1], scratch + MSG_AT, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0,
                 0, 0, &result);
        if (q < 0 || result != 1 ||
            mem_read_fd(mem_fd, scratch + CONTROL_AT, &control, sizeof(control.bytes)) != 0 ||
            control.h.cmsg_len != CMSG_LEN(sizeof(int)) || control.h.cmsg_type != SCM_RIGHTS)
                return q < 0 ? q : 1;
        memcpy(&out->fd, CMSG_DATA(&control.h), sizeof(int));
        return is_ours(r, out->fd, fd) ? 0 : 1;
}

/* With one call where their numbers follow one another, which is the usual case. */
static void close_passed(Remote *r, const Passed *p) {
        int32_t fds[3] = { p->pair[0], p->pair[1], p->fd };
        int64_t result;

        if (fds[0] >= 0 && fds[1] == fds[0] + 1 && fds[2] == fds[1] + 1 &&
            call(r, SYS_close_range, (uint64_t)fds[0], (uint64_t)fds[2], 0, 0, 0, 0, &result) == 0 &&
            result == 0)
                return;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                if (fds[i] >= 0)
                        call(r, SYS_close, (uint64_t)fds[i], 0, 0, 0, 0, 0, &result);
}

/* The variable that a relocation leads to, if it has its storage elsewhere; SIZE_MAX: it has not. */
static size_t bound_variable(const Patch *p, const PatchReloc *x, const uint64_t *bound) {
        const PatchVariable *v = x->base == PATCH_BASE_SHADOW ? patch_variable_at(p, x->value) : NULL;

        return v && bound[v - p->variables] ? (size_t)(v - p->variables) : SIZE_MAX;
}

static uint64_t reloc_value(const Staged *s, const PatchReloc *x, const StageValues *values) {
        const Patch *p = s->shadow->patch;
        uint64_t v = (uint64_t)x->addend;
        size_t k;

        switch (x->base) {
        case PATCH_BASE_OLD:
                v += s->image_base + x->value;
                break;
        case PATCH_BASE_SHADOW:
                k = bound_variable(p, x, values->bound);
                v += k == SIZE_MAX ? shadow_base(s) + x->value
                                   : values->bound[k] + (x->value - p->variables[k].addr);
                break;
        case PATCH_BASE_IMPORT:
                v += values->imports[x->value];
                break;
        }
        if (x->type == R_X86_64_PC32 || x->type == R_X86_64_PLT32)
                v -= shadow_base(s) + x->where;
        return v;
}

/* The relocations whose value depends on the process, when variables are bound: their number, then they. */
static size_t *list_late(const Shadow *sh, const uint64_t *bound) {
        const Patch *p = sh->patch;
        size_t *all = vec_grow(NULL, p->n_relocs + 1, sizeof(*all)), n = 0, next = 0;

        for (size_t i = 0; i < p->n_relocs; i++) {
                bool late = next < sh->n_late && sh->late[next] == i;

                next += late;
                if (late || bound_variable(p, &p->relocs[i], bound) != SIZE_MAX)
                        all[++n] = i;
        }
        all[0] = n;
        return all;
}

/* The header tells the next patch where the variables are. */
static int write_bound(const Staged *s, int mem_fd, const uint64_t *bound, Error *e) {
        const Header *h = &s->shadow->header;

        for (size_t i = 0; i < h->n_variables; i++) {
                int r = bound[i] ? mem_write(mem_fd, s->start + header_bound_at(h, i), &bound[i],
                                             sizeof(bound[i]))
                                 : 0;

                if (r < 0)
                        return error_errno(e, r, "process %d: write to 0x%llx", s->pid,
                                           (unsigned long long)s->start);
        }
        return 0;
}

/* Relocations whose value depends on the process: whole pages are written at once. */
static int write_late(Staged *s, int mem_fd, const StageValues *values, Error *e) {
        const Shadow *sh = s->shadow;
        const Patch *p = sh->patch;
        _cleanup_(freep) size_t *all = values->any_bound ? list_late(sh, values->bound) : NULL;
        const size_t *late = all ? all + 1 : sh->late;
        size_t n_late = all ? all[0] : sh->n_late;
        uint64_t page = UINT64_MAX, written = 0; /* up to where the process has what is ours already */
        uint8_t buffer[2 * 4096];
        size_t have = 0;
        int r;

        for (size_t i = 0; i <= n_late; i++) {
                const PatchReloc *x = i < n_late ? &p->relocs[late[i]] : NULL;
                size_t width = x && x->type == R_X86_64_64 ? 8 : 4;
                uint64_t v;

                if (have && (!x || x->where + width > page + have || x->where < page)) {
                        r = mem_write(mem_fd, shadow_base(s) + page, buffer, have);
                        if (r < 0)
                                return error_errno(e, r, "process %d: write to 0x%llx", s->pid,
                                                   (unsigned long long)(shadow_base(s) + page));
                        written = page + have;
                        have = 0;
                }
                if (!x)
                        break;
                if (!have) {
                        size_t at;

                        page = align_down(x->where, PAGE_SIZE_X86);
                        have = x->where + width > page + PAGE_SIZE_X86 ? 2 * PAGE_SIZE_X86 : PAGE_SIZE_X86;
                        at = shadow_offset(sh, page, have);
                        if (at == SIZE_MAX)
                                return error_set(e, -EINVAL, "patch %s: relocation outside", p->name);
                        memcpy(buffer, sh->content + at, have);
                        if (page < written) { /* a field that lies across pages leads back to the last one */
                                r = mem_read_fd(mem_fd, shadow_base(s) + page, buffer, written - page);
                                if (r < 0)
                                        return error_errno(e, r, "process %d: read of 0x%llx", s->pid,
                                                           (unsigned long long)(shadow_base(s) + page));
                        }
                        s->private_bytes += have;
                }
                v = reloc_value(s, x, values);
                if ((x->type == R_X86_64_32 && v > UINT32_MAX) ||
                    ((x->type == R_X86_64_32S || x->type == R_X86_64_PC32 || x->type == R_X86_64_PLT32) &&
                     (int64_t)v != (int32_t)v))
                        return error_set(e, -ERANGE, "patch %s: relocation at 0x%llx does not reach", p->name,
                                         (unsigned long long)x->where);
                memcpy(buffer + (x->where - page), &v, width);
        }
        return 0;
}

/* Maps one piece, from the descriptor or (remote_fd < 0) anonymous and written by us. */
static int map_piece(Remote *r, int mem_fd, int remote_fd, uint64_t addr, uint64_t size, int prot,
                     const uint8_t *content, uint64_t offset, Error *e) {
        int flags = MAP_PRIVATE | MAP_FIXED | (remote_fd < 0 ? MAP_ANONYMOUS : 0);
        int64_t result;
        int q = call(r, SYS_mmap, addr, size, (uint64_t)prot, (uint64_t)flags, (uint64_t)(int64_t)remote_fd,
                     remote_fd < 0 ? 0 : offset, &result);

        if (q < 0)
                return error_errno(e, q, "process %d: remote mmap", r->pid);
        if (result != (int64_t)addr)
                return error_errno(e, result < 0 ? (int)result : -EINVAL, "process %d: mmap of %llu bytes",
                                   r->pid, (unsigned long long)size);
        if (remote_fd < 0) {
                q = mem_write(mem_fd, addr, content + offset, size);
                if (q < 0)
                        return error_errno(e, q, "process %d: write to 0x%llx", r->pid,
                                           (unsigned long long)addr);
        }
        return 0;
}

static int map_all(Remote *r, Staged *s, int mem_fd, int remote_fd, Error *e) {
        const Shadow *sh = s->shadow;
        int q = map_piece(r, mem_fd, remote_fd, s->start, sh->header_size, PROT_READ, sh->content, 0, e);

        for (size_t i = 0; i < sh->n_pieces && q == 0; i++) {
                const ShadowPiece *p = &sh->pieces[i];

                q = map_piece(r, mem_fd, remote_fd, shadow_base(s) + p->addr, p->size, p->prot, sh->content,
                              p->offset, e);
                if (q == 0)
                        q = fault("stage-piece", e);
        }
        return q;
}

/* With one call at a time. Positive: STAGE_TAKEN. */
static int map_singly(Remote *remote, Staged *s, int mem_fd, Error *e) {
        const Shadow *shadow = s->shadow;
        int64_t result, scratch;
        Passed passed = { .fd = -1, .pair = { -1, -1 } };
        bool shared = false;
        int q;

        q = call(remote, SYS_mmap, s->start, s->end - s->start, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, (uint64_t)-1, 0, &result);
        if (q < 0)
                return error_errno(e, q, "process %d: remote mmap", s->pid);
        if (result != (int64_t)s->start) {
                if (result >= 0)
                        stage_unmap(remote, (uint64_t)result, (uint64_t)result + (s->end - s->start));
                return STAGE_TAKEN;
        }
        q = fault("stage-reserved", e);
        if (q == 0 && shadow->memfd >= 0) {
                q = call(remote, SYS_mmap, 0, SCRATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         (uint64_t)-1, 0, &scratch);
                if (q == 0 && scratch > 0) {
                        q = pass_fd(remote, mem_fd, (uint64_t)scratch, shadow->memfd, &passed);
                        shared = q == 0;
                        stage_unmap(remote, (uint64_t)scratch, (uint64_t)scratch + SCRATCH);
                        if (q > 0)
                                q = 0;
                }
        }
        if (q == 0) {
                q = map_all(remote, s, mem_fd, shared ? passed.fd : -1, e);
                /* Refused by a security module, perhaps, or the number led to another file for a moment. */
                if (shared && ((q < 0 && q != -ESRCH) || !is_ours(remote, passed.fd, shadow->memfd))) {
                        Error ignored;

                        shared = false;
                        if (map_all(remote, s, mem_fd, -1, &ignored) == 0)
                                q = 0;
                        else if (q == 0)
                                q = error_set(e, -EBADF, "process %d: its descriptors change", s->pid);
                }
        }
        close_passed(remote, &passed);
        if (q < 0)
                stage_unmap(remote, s->start, s->end);
        s->shared = shared;
        return q;
}

int stage_map(Remote *remote, const Shadow *shadow, uint64_t image_base, int mem_fd, Staged *out, Error *e) {
        Staged s = { .shadow = shadow, .pid = remote->pid, .image_base = image_base };
        int q;

        s.start = shadow_base(&s) + shadow_lo(shadow->patch);
        s.end = shadow_base(&s) + shadow->patch->hi;
        q = chain_map(remote, &s, mem_fd, &s.shared, e);
        s.empty = q == 0;
        if (q == CHAIN_UNFIT)
                q = map_singly(remote, &s, mem_fd, e);
        if (q < 0 && e && !e->code)
                error_errno(e, q, "process %d: staging", s.pid);
        if (q == 0)
                *out = s;
        return q;
}

/* After chain_map: the page of the header, which is never shared, and all that is not. */
static int write_content(const Staged *s, int mem_fd) {
        const Shadow *sh = s->shadow;
        int q = mem_write(mem_fd, s->start + HEADER_FIXED, sh->content + HEADER_FIXED,
                          (s->shared ? PAGE_SIZE_X86 : sh->header_size) - HEADER_FIXED);

        for (size_t i = 0; q == 0 && !s->shared && i < sh->n_pieces; i++)
                q = mem_write(mem_fd, shadow_base(s) + sh->pieces[i].addr, sh->content + sh->pieces[i].offset,
                              sh->pieces[i].size);
        return q;
}

int stage_fill(Staged *s, int mem_fd, const StageValues *values, Error *e) {
        const Shadow *shadow = s->shadow;
        uint8_t fixed[HEADER_FIXED];
        int q = s->empty ? write_content(s, mem_fd) : 0;

        for (size_t i = 0; i < shadow->n_pieces; i++)
                *(!s->shared || (shadow->pieces[i].prot & PROT_WRITE) ? &s->private_bytes
                                                                      : &s->shared_bytes) +=
                        shadow->pieces[i].size;
        s->private_bytes += !s->shared ? shadow->header_size : PAGE_SIZE_X86;
        s->shared_bytes += !s->shared ? 0 : shadow->header_size - PAGE_SIZE_X86;
        if (q == 0)
                q = write_late(s, mem_fd, values, e);
        if (q == 0 && values->any_bound)
                q = write_bound(s, mem_fd, values->bound, e);
        if (q == 0) {
                s->header = shadow->header;
                s->header.self = s->start;
                s->header.image_base = s->image_base;
                s->header.shadow_base = shadow_base(s);
                s->header.time_sec = (uint64_t)time(NULL);
                if (getrandom(&s->header.txn, sizeof(s->header.txn), 0) != sizeof(s->header.txn))
                        q = error_errno(e, -errno, "getrandom");
        }
        if (q == 0) {
                header_encode_fixed(&s->header, fixed);
                q = mem_write(mem_fd, s->start, fixed, sizeof(fixed));
        }
        if (q == 0)
                q = fault("stage-done", e);
        if (q < 0 && e && !e->code)
                error_errno(e, q, "process %d: staging", s->pid);
        return q;
}

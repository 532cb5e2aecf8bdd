/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/chain.h"
#include "apply/fault.h"
#include "base/macro.h"
#include "proc/maps.h"
#include "proc/mem.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * rbx: the next entry of the table; r12: the silent signal; r15: the page of the header, which begins with
 * what the registers are to be when all is over. The stack is not used. A negative number ends the table, an
 * unexpected result ends it early.
 */
__asm__(".pushsection .rodata, \"a\"\n"
        "chain_begin:\n"
        "       mov (%rbx), %rax\n"
        "       test %rax, %rax\n"
        "       js 1f\n"
        "       mov 8(%rbx), %rdi\n"
        "       mov (%rdi), %rdi\n"
        "       mov 16(%rbx), %rsi\n"
        "       mov 24(%rbx), %rdx\n"
        "       mov 32(%rbx), %r10\n"
        "       mov 40(%rbx), %r8\n"
        "       movslq (%r8), %r8\n"
        "       mov 48(%rbx), %r9\n"
        "       syscall\n"
        "       cmp 56(%rbx), %rax\n"
        "       jne 1f\n"
        "       add $80, %rbx\n"
        "       jmp chain_begin\n"
        "1:     mov $39, %eax\n" /* getpid: as the process sees it, in a namespace of its own */
        "       syscall\n"
        "       mov %rax, %r13\n"
        "       mov $186, %eax\n" /* gettid */
        "       syscall\n"
        "       mov %r13, %rdi\n"
        "       mov %rax, %rsi\n"
        "       mov %r12, %rdx\n"
        "       mov $234, %eax\n" /* tgkill: a stop, if we live; nothing, if not */
        "       syscall\n"
        "chain_stopped:\n"
        "       mov %r15, %rsp\n"
        "       popfq\n"
        "       mov 16(%r15), %rsp\n"
        "       mov $14, %eax\n" /* rt_sigprocmask(SIG_SETMASK, ...); keeps the flags */
        "       mov $2, %edi\n"
        "       lea 8(%r15), %rsi\n"
        "       mov $0, %edx\n"
        "       mov $8, %r10d\n"
        "       syscall\n"
        "       mov 32(%r15), %rax\n"
        "       mov 40(%r15), %rbx\n"
        "       mov 48(%r15), %rcx\n"
        "       mov 56(%r15), %rdx\n"
        "       mov 64(%r15), %rsi\n"
        "       mov 72(%r15), %rdi\n"
        "       mov 80(%r15), %rbp\n"
        "       mov 88(%r15), %r8\n"
        "       mov 96(%r15), %r9\n"
        "       mov 104(%r15), %r10\n"
        "       mov 112(%r15), %r11\n"
        "       mov 120(%r15), %r12\n"
        "       mov 128(%r15), %r13\n"
        "       mov 136(%r15), %r14\n"
        "       mov 144(%r15), %r15\n"
        "       .byte 0x3e, 0xff, 0x25\n" /* notrack jmp *distance(%rip) */
        "chain_distance:\n"
        "       .long 0\n"
        "chain_end:\n"
        ".popsection\n");
extern const uint8_t chain_begin[], chain_stopped[], chain_distance[], chain_end[];

enum {
        ENTRY_BYTES = 80, /* in the code above, as the order in Block */
        TABLE_AT = 256,
        MSG_AT = 3072,
        IOV_AT = MSG_AT + 64,
        BYTE_AT = IOV_AT + 32,
        CONTROL_AT = BYTE_AT + 32,
        PAIR_AT = CONTROL_AT + 64,
        RIP_AT = 24,
        MAX_ENTRIES = (MSG_AT - TABLE_AT) / ENTRY_BYTES - 1,
};

typedef struct Entry {
        int64_t nr;
        uint64_t a; /* address of the first argument */
        uint64_t b, c, d;
        uint64_t f; /* address of the fifth, 4 bytes */
        uint64_t g;
        int64_t expected;
        uint64_t a_value;
        int64_t f_value;
} Entry;
_Static_assert(sizeof(Entry) == ENTRY_BYTES, "the code's entry");

typedef struct Block {
        uint64_t flags, mask, rsp, rip, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14,
                r15;
} Block;
_Static_assert(offsetof(Block, rip) == RIP_AT && offsetof(Block, rax) == 32 && offsetof(Block, r15) == 144,
               "the code's");

typedef struct Chain {
        Remote *remote;
        const Staged *s;
        int mem_fd;
        uint64_t code; /* addresses in the process */
        Entry entries[MAX_ENTRIES + 1];
        size_t n;
        bool full;
        size_t done;     /* entries of the last run that were done */
        int32_t pair[2]; /* descriptors that it made there; -1: none */
        size_t closes;   /* the first of the three entries that close them, and the one that they brought */
} Chain;

size_t chain_size(void) {
        return (size_t)(chain_end - chain_begin);
}

void chain_write(uint8_t *to, int64_t distance) {
        int32_t field = (int32_t)(distance + RIP_AT - (chain_end - chain_begin));

        memcpy(to, chain_begin, chain_size());
        memcpy(to + (chain_distance - chain_begin), &field, sizeof(field));
}

static Entry *add(Chain *c, long nr, uint64_t a, uint64_t b, uint64_t d3, uint64_t d4, int64_t f, uint64_t g,
                  int64_t expected) {
        uint64_t at = c->s->start + TABLE_AT + c->n * ENTRY_BYTES;
        Entry *x = &c->entries[c->n];

        if (c->n == MAX_ENTRIES) {
                c->full = true;
                return x; /* the last: it is written anew each time */
        }
        c->n++;
        *x = (Entry){ .nr = nr,
                      .a = at + offsetof(Entry, a_value),
                      .b = b,
                      .c = d3,
                      .d = d4,
                      .f = at + offsetof(Entry, f_value),
                      .g = g,
                      .expected = expected,
                      .a_value = a,
                      .f_value = f };
        return x;
}

static int write_table(Chain *c) {
        c->entries[c->n] = (Entry){ .nr = -1 };
        return mem_write(c->mem_fd, c->s->start + TABLE_AT, c->entries, (c->n + 1) * sizeof(*c->entries));
}

/* 0 when all of the table was done. Positive: not, and the thread is in its stop. */
static int run(Chain *c, const char *name, Error *e) {
        uint64_t reached = 0, table = c->s->start + TABLE_AT;
        int r, f;

        c->done = 0;
        r = c->full ? 1 : write_table(c);
        if (r)
                return r;
        r = remote_go(c->remote, c->code, table, c->s->start);
        f = fault(name, e);
        if (r == 0)
                r = remote_await(c->remote, c->code + (uint64_t)(chain_stopped - chain_begin), &reached);
        c->done = r == 0 ? (reached - table) / ENTRY_BYTES : c->n;
        if (r == -EFAULT)
                return 1;
        if (r < 0)
                return r;
        return f ? f : c->done != c->n;
}

static int write_block(const Chain *c) {
        const struct user_regs_struct x = remote_parked(c->remote);
        const Block b = { .flags = x.eflags & ~UINT64_C(0x100),
                          .mask = c->remote->mask,
                          .rsp = x.rsp,
                          .rip = x.rip,
                          .rax = x.rax,
                          .rbx = x.rbx,
                          .rcx = x.rcx,
                          .rdx = x.rdx,
                          .rsi = x.rsi,
                          .rdi = x.rdi,
                          .rbp = x.rbp,
                          .r8 = x.r8,
                          .r9 = x.r9,
                          .r10 = x.r10,
                          .r11 = x.r11,
                          .r12 = x.r12,
                          .r13 = x.r13,
                          .r14 = x.r14,
                          .r15 = x.r15 };
        _cleanup_(freep) uint8_t *code = malloc(chain_size());
        int r;

        if (!code)
                return -ENOMEM;
        chain_write(code, (int64_t)(c->s->start - c->code));
        r = mem_write(c->mem_fd, c->code, code, chain_size());
        return r < 0 ? r : mem_write(c->mem_fd, c->s->start, &b, sizeof(b));
}

/* A socket pair in the process, one end of which we write our descriptor to. */
static int pass(Chain *c, Error *e) {
        union {
                struct cmsghdr h;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {
                .h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
        };
        const uint64_t page = c->s->start;
        char byte = 0;
        struct iovec iov = { &byte, 1 }, there_iov = { (void *)(uintptr_t)(page + BYTE_AT), 1 };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control.bytes) };
        const struct msghdr there = { .msg_iov = (void *)(uintptr_t)(page + IOV_AT),
                                      .msg_iovlen = 1,
                                      .msg_control = (void *)(uintptr_t)(page + CONTROL_AT),
                                      .msg_controllen = sizeof(control.bytes) };
        _cleanup_(closep) int pidfd = -1, ours = -1;
        const int32_t none = -1;
        int r, q;

        pidfd = (int)syscall(SYS_pidfd_open, c->remote->pid, 0);
        if (pidfd < 0)
                return 1;
        add(c, SYS_mprotect, page, PAGE_SIZE_X86, PROT_READ | PROT_WRITE, 0, 0, 0, 0);
        add(c, SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, page + PAIR_AT, 0, 0, 0);
        r = run(c, "chain-pair", e);
        q = c->done == c->n ? mem_read_fd(c->mem_fd, page + PAIR_AT, c->pair, sizeof(c->pair)) : 0;
        c->done = c->n = 0;
        if (r == 0)
                r = q < 0 ? q : fault("chain-stopped", e);
        if (r)
                return r;
        ours = (int)syscall(SYS_pidfd_getfd, pidfd, c->pair[0], 0);
        memcpy(CMSG_DATA(&control.h), &c->s->shadow->memfd, sizeof(int));
        if (ours < 0 || sendmsg(ours, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 ||
            mem_write(c->mem_fd, page + IOV_AT, &there_iov, sizeof(there_iov)) != 0 ||
            mem_write(c->mem_fd, page + MSG_AT, &there, sizeof(there)) != 0 ||
            mem_write(c->mem_fd, page + CONTROL_AT + CMSG_LEN(0), &none, sizeof(none)) != 0)
                return 1;
        add(c, SYS_recvmsg, (uint64_t)c->pair[1], page + MSG_AT, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0, 0, 1);
        return 0;
}

/* What a chain that ended early has left open. */
static void close_rest(Chain *c) {
        int32_t fds[3] = { -1, c->pair[0], c->pair[1] };
        int64_t result;

        if (c->done &&
            mem_read_fd(c->mem_fd, c->s->start + CONTROL_AT + CMSG_LEN(0), fds, sizeof(fds[0])) < 0)
                fds[0] = -1;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                if (fds[i] >= 0 && (!c->closes || c->closes + i >= c->done))
                        remote_call(c->remote, SYS_close, (const uint64_t[6]){ (uint64_t)fds[i] }, &result);
}

static void add_map(Chain *c, uint64_t at, uint64_t size, int prot, uint64_t offset, bool shared) {
        Entry *x = add(c, SYS_mmap, at, size, (uint64_t)prot,
                       MAP_PRIVATE | MAP_FIXED | (shared ? 0 : MAP_ANONYMOUS), -1, shared ? offset : 0,
                       (int64_t)at);

        if (shared)
                x->f = c->s->start + CONTROL_AT + CMSG_LEN(0);
}

static void add_maps(Chain *c, bool shared) {
        const Shadow *sh = c->s->shadow;
        uint64_t at = c->s->start + PAGE_SIZE_X86;

        if (sh->header_size > PAGE_SIZE_X86)
                add_map(c, at, sh->header_size - PAGE_SIZE_X86, PROT_READ, PAGE_SIZE_X86, shared);
        at = c->s->start + sh->header_size;
        for (size_t i = 0; i < sh->n_pieces; i++) {
                const ShadowPiece *p = &sh->pieces[i];
                uint64_t start = shadow_base(c->s) + p->addr;

                if (start > at) /* of the reservation, nobody's */
                        add(c, SYS_mprotect, at, start - at, PROT_NONE, 0, 0, 0, 0);
                at = start + p->size;
                /* Where the code lies that does this there is the same in the memfd. Without one it stays as
                 * it is. */
                if (shared || c->code < start || c->code >= at)
                        add_map(c, start, p->size, p->prot, p->offset, shared);
        }
        if (c->s->end > at)
                add(c, SYS_mprotect, at, c->s->end - at, PROT_NONE, 0, 0, 0, 0);
        add(c, SYS_mprotect, c->s->start, PAGE_SIZE_X86, PROT_READ, 0, 0, 0, 0);
        if (shared) {
                c->closes = c->n;
                add(c, SYS_close, 0, 0, 0, 0, 0, 0, 0)->a =
                        c->s->start + CONTROL_AT + CMSG_LEN(0); /* 4 of 8 bytes count */
                add(c, SYS_close, (uint64_t)c->pair[0], 0, 0, 0, 0, 0, 0);
                add(c, SYS_close, (uint64_t)c->pair[1], 0, 0, 0, 0, 0, 0);
        }
}

/* Our file lies there: the number may have led to another for a moment. */
static bool is_mapped(const Chain *c, Error *e) {
        const Shadow *sh = c->s->shadow;
        _cleanup_(maps_free) Maps maps = { 0 };
        struct stat ours, there;

        if (fstat(sh->memfd, &ours) < 0)
                return false;
        for (size_t i = 0; i < sh->n_pieces + 1; i++) {
                const ShadowPiece *p = i ? &sh->pieces[i - 1] : NULL;
                uint64_t start = p ? shadow_base(c->s) + p->addr : c->s->start + PAGE_SIZE_X86;
                uint64_t size = p ? p->size : sh->header_size - PAGE_SIZE_X86,
                         offset = p ? p->offset : PAGE_SIZE_X86;
                const Mapping *m;
                char path[96];

                if (!size)
                        continue;
                snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", c->remote->pid,
                         (unsigned long long)start, (unsigned long long)(start + size));
                if (stat(path, &there) == 0) {
                        if (there.st_ino != ours.st_ino || there.st_dev != ours.st_dev)
                                return false;
                        continue;
                }
                /* Not ours to look at, or joined with its neighbour. */
                if (!maps.n && maps_read(c->remote->pid, &maps, e) < 0)
                        return false;
                m = maps_at(&maps, start);
                if (!m || m->end < start + size || m->inode != ours.st_ino ||
                    m->offset + (start - m->start) != offset)
                        return false;
        }
        return true;
}

int chain_map(Remote *remote, const Staged *s, int mem_fd, bool *shared, Error *e) {
        const Shadow *sh = s->shadow;
        Chain c = { .remote = remote,
                    .s = s,
                    .mem_fd = mem_fd,
                    .pair = { -1, -1 },
                    .code = shadow_base(s) + sh->chain_addr };
        const uint64_t args[6] = { s->start,
                                   s->end - s->start,
                                   PROT_READ | PROT_EXEC,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
                                   (uint64_t)-1,
                                   0 };
        bool from_file = sh->memfd >= 0;
        int64_t result;
        int r;

        if (!sh->chain_addr || !remote->silent)
                return CHAIN_UNFIT;
        if (from_file && remote->tid != remote->pid &&
            syscall(SYS_kcmp, remote->pid, remote->tid, KCMP_FILES, 0, 0) != 0)
                return CHAIN_UNFIT; /* this thread has descriptors of its own */
        r = remote_call(remote, SYS_mmap, args, &result);
        if (r < 0)
                return error_errno(e, r, "process %d: remote mmap", s->pid);
        if (result == -EEXIST)
                return STAGE_TAKEN;
        if (result != (int64_t)s->start) { /* refused by a security module, perhaps; or an old kernel chose
                                              another place */
                if (result >= 0)
                        stage_unmap(remote, (uint64_t)result, (uint64_t)result + (s->end - s->start));
                return CHAIN_UNFIT;
        }
        r = fault("stage-reserved", e);
        if (r == 0)
                r = write_block(&c);
        if (r == 0 && from_file)
                r = pass(&c, e);
        if (r == 0) {
                add_maps(&c, from_file);
                r = run(&c, "chain-map", e);
        }
        if (r == 0 && from_file && !is_mapped(&c, e))
                r = 1;
        if (r) {
                close_rest(&c);
                stage_unmap(remote, s->start, s->end);
                return r < 0 ? r : CHAIN_UNFIT;
        }
        *shared = from_file;
        return 0;
}

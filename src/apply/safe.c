/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/safe.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/maps.h"
#include "proc/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
        SCAN_MAX = 1 << 20, /* bytes of one stack; a longer one has to be unwound */
        SCAN_TOTAL = 128 << 20,
        STACK_USUAL = 16384, /* bytes that a thread which waits has in use, and then some */
        STACKS_PER_THREAD = 4,
        BATCH = 512,
        UNWIND_USEC = 2000, /* for unwinding in one stop; what is proved by then need not be the next time */
};

void safe_set_add(SafeSet *s, SafeRange r) {
        if (r.start >= r.end)
                return;
        if (s->n == s->room) {
                s->room = s->room ? s->room * 2 : 64;
                s->ranges = vec_grow(s->ranges, s->room, sizeof(*s->ranges));
        }
        s->ranges[s->n++] = r;
}

enum { CALL_BYTES = 7 };

static bool ends_in_call(const uint8_t b[CALL_BYTES]) {
        if (b[CALL_BYTES - 5] == 0xe8) /* call rel32 */
                return true;
        for (size_t i = 0; i + 1 < CALL_BYTES; i++) /* call r/m: ff /2 */
                if (b[i] == 0xff && (b[i + 1] & 0x38) == 0x10)
                        return true;
        return false;
}

void safe_set_look(SafeSet *s, pid_t pid) {
        struct iovec local[BATCH], remote[BATCH];
        uint8_t bytes[BATCH][CALL_BYTES];

        for (size_t first = 0; first < s->n;) {
                size_t n = 0, next = first, known = 0, got;
                ssize_t r;

                memset(bytes, 0, sizeof(bytes));
                for (; next < s->n && n < BATCH; next++) {
                        const SafeRange *x = &s->ranges[next];
                        size_t size = MIN(x->end - x->start, CALL_BYTES);

                        if (!x->ask)
                                continue;
                        local[n] = (struct iovec){ bytes[n] + CALL_BYTES - size, size };
                        remote[n++] = (struct iovec){ (void *)(uintptr_t)(x->end - size), size };
                }
                r = n ? process_vm_readv(pid, local, n, remote, n, 0) : 0;
                got = r > 0 ? (size_t)r : 0;
                for (; known < n && got >= local[known].iov_len; known++)
                        got -= local[known].iov_len;
                for (size_t i = 0, k = 0; k < n; i++) {
                        SafeRange *x = &s->ranges[first + i];

                        if (!x->ask)
                                continue;
                        /* Of what cannot be read anything may be true. The next are read without it. */
                        x->ends_in_call = k >= known || ends_in_call(bytes[k]);
                        x->ask = false;
                        if (k++ == known)
                                next = first + i + 1;
                        if (k > known)
                                break;
                }
                first = next;
        }
}

static int by_start(const void *a, const void *b) {
        uint64_t x = ((const SafeRange *)a)->start, y = ((const SafeRange *)b)->start;

        return (x > y) - (x < y);
}

void safe_set_sort(SafeSet *s) {
        uint64_t reach = 0;

        if (s->n)
                qsort(s->ranges, s->n, sizeof(*s->ranges), by_start);
        free(s->reach);
        s->reach = vec_grow(NULL, s->n + 1, sizeof(*s->reach));
        s->lo = s->n ? s->ranges[0].start : 0;
        for (size_t i = 0; i < s->n; i++)
                s->reach[i] = reach = MAX(reach, s->ranges[i].end);
        s->hi = reach;
}

void safe_set_free(SafeSet *s) {
        free(s->ranges);
        free(s->reach);
        *s = (SafeSet){ 0 };
}

/* Calls for every range that holds `addr`: with `end` inclusive when `returning`. */
static const SafeRange *find(const SafeSet *s, uint64_t addr, bool returning) {
        size_t lo = 0, hi = s->n;

        if (addr < s->lo || addr > s->hi)
                return NULL;
        while (lo < hi) { /* first range that starts above addr */
                size_t mid = lo + (hi - lo) / 2;

                if (s->ranges[mid].start > addr)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        while (lo-- > 0 && s->reach[lo] >= addr) {
                const SafeRange *r = &s->ranges[lo];

                if (returning ? (addr > r->start && (addr < r->end || (addr == r->end && r->ends_in_call)))
                              : (addr < r->end && addr != r->entry))
                        return r;
        }
        return NULL;
}

const SafeRange *safe_running(const SafeSet *s, uint64_t pc) {
        return find(s, pc, false);
}

const SafeRange *safe_returning(const SafeSet *s, uint64_t addr) {
        return find(s, addr, true);
}

/* PROCMAP_QUERY (Linux 6.11): the mapping at one address. */
struct procmap_query_ {
        uint64_t size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size, vma_offset,
                inode;
        uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
        uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_ _IOWR('f', 17, struct procmap_query_)

/* A part of a thread's stack, copied while it is stopped. */
typedef struct StackCopy {
        uint64_t sp; /* its lowest address */
        size_t size;
        size_t at; /* in the reader's buffer */
        size_t thread;
        bool cut; /* it goes on */
} StackCopy;

/* A thread whose stack was found safe by unwinding, as it was: an idle one is not unwound again. */
typedef struct Proof {
        pid_t tid;
        XXH128_hash_t hash;
} Proof;

struct StackReader {
        pid_t pid;
        int maps_fd;
        bool no_query;
        Maps maps;          /* only without PROCMAP_QUERY: read once a stop */
        const Maps *before; /* as they were read while the process ran */
        const World *world; /* of the stop */
        uint8_t *bytes;
        size_t room, used;
        StackCopy *stacks;
        size_t n, stacks_room;
        VEC(Proof) proofs;
};

StackReader *stack_reader_new(pid_t pid, const Maps *before, size_t threads, Error *e) {
        StackReader *r = calloc(1, sizeof(*r));
        char path[64];

        if (!r)
                return NULL;
        r->pid = pid;
        r->before = before;
        snprintf(path, sizeof(path), "/proc/%d/maps", pid);
        r->maps_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (r->maps_fd < 0) {
                error_errno(e, -errno, "%s", path);
                free(r);
                return NULL;
        }
        r->room = STACK_USUAL * MIN(MAX(threads, 4), SCAN_TOTAL / 8 / STACK_USUAL);
        r->bytes = vec_grow(NULL, r->room, 1);
        memset(r->bytes, 0, r->room); /* no page faults while the threads are stopped */
        return r;
}

StackReader *stack_reader_free(StackReader *r) {
        if (r) {
                close(r->maps_fd);
                maps_free(&r->maps);
                free(r->bytes);
                free(r->stacks);
                vec_free(&r->proofs);
                free(r);
        }
        return NULL;
}

/* The mapping that holds `addr`, now. False: there is none. Its path is not known. */
static bool mapping_at(StackReader *r, uint64_t addr, Mapping *out) {
        enum { WRITABLE = 2 };
        const Mapping *m;

        if (!r->no_query) {
                struct procmap_query_ q = { .size = sizeof(q), .query_addr = addr };

                if (ioctl(r->maps_fd, PROCMAP_QUERY_, &q) == 0) {
                        *out = (Mapping){ .start = q.vma_start,
                                          .end = q.vma_end,
                                          .prot = q.vma_flags & WRITABLE ? MAP_W : 0 };
                        return true;
                }
                if (errno == ENOENT)
                        return false;
                r->no_query = true;
        }
        if (!r->maps.n && maps_read(r->pid, &r->maps, NULL) < 0)
                return false;
        m = maps_at(&r->maps, addr);
        if (m)
                *out = *m;
        return m != NULL;
}

/* May a stack that begins at `sp` go on where a mapping of it ends? Behind the thread's own block, which
 * thread libraries put at the end of a stack, comes something else: another allocation, as a rule. */
static bool holds_block(uint64_t sp, uint64_t end, uint64_t thread_pointer) {
        return thread_pointer > sp && thread_pointer < end;
}

static bool may_go_on(uint64_t sp, uint64_t end, uint64_t thread_pointer) {
        return end && end - sp <= SCAN_MAX && !holds_block(sp, end, thread_pointer);
}

/* Where a stack ends that begins at `sp`, as far as the mappings `m` tell; 0: there is no memory. A stack may
 * be of several mappings: a part of it is locked, or was given other properties. */
static uint64_t expected_end(const Maps *maps, uint64_t sp, uint64_t thread_pointer) {
        const Mapping *m = maps_at(maps, sp), *next;
        uint64_t end = m ? m->end : 0;

        while (may_go_on(sp, end, thread_pointer) && (next = maps_at(maps, end)) && (next->prot & MAP_W))
                end = next->end;
        return end;
}

/* The same as it is now, but for what lies behind the thread's own block. */
static uint64_t memory_end(StackReader *r, uint64_t sp, uint64_t thread_pointer) {
        uint64_t end = expected_end(r->before, sp, thread_pointer);
        Mapping m;

        /*
         * The thread's own block lay in there: what has been mapped behind it since is no part of the stack,
         * and what is gone cannot be read. Most threads need no question at all.
         */
        if (holds_block(sp, end, thread_pointer))
                return end;
        if (r->no_query)
                end = 0;
        /*
         * What was there before the stop is asked about with one question: does it still end there? That all
         * before that is memory is seen when it is copied: what cannot be read is no stack, and what is
         * another mapping by now is looked at, too.
         */
        if (end && end - sp <= SCAN_MAX &&
            (!mapping_at(r, end, &m) ||
             (m.start == end && (!(m.prot & MAP_W) || !may_go_on(sp, end, thread_pointer)))))
                return end;
        end = mapping_at(r, sp, &m) ? m.end : 0;
        while (may_go_on(sp, end, thread_pointer) && mapping_at(r, end, &m) && (m.prot & MAP_W))
                end = m.end;
        return end;
}

/*
 * A mapping may hold the stacks of many threads, one behind another, where the guards between them are no
 * mappings of their own (MADV_GUARD_INSTALL): this thread's ends with its block.
 */
static uint64_t stack_end(StackReader *r, uint64_t sp, uint64_t thread_pointer) {
        uint64_t end = memory_end(r, sp, thread_pointer);

        return holds_block(sp, end, thread_pointer) ? align_up(thread_pointer, 8) : end;
}

/* The pages at `addr` are there, or can be brought from a disk: nobody else has to be asked for them
 * (userfaultfd). */
static bool are_there(int pagemap, uint64_t addr, size_t pages) {
        enum { AWAY = 62 /* swapped; the next bit: present */, MOST = 4 };
        uint64_t entries[MOST];
        bool all = pages <= MOST && pread(pagemap, entries, pages * sizeof(*entries),
                                          (off_t)(addr / PAGE_SIZE_X86 * sizeof(*entries))) ==
                                            (ssize_t)(pages * sizeof(*entries));

        for (size_t i = 0; all && i < pages; i++)
                all = entries[i] >> AWAY & 3;
        return all;
}

void stack_reader_warm(StackReader *r) {
        enum { PART = 2 * PAGE_SIZE_X86 };
        struct iovec local[BATCH], remote[BATCH];
        size_t n = 0, at = 0;
        _cleanup_(closep) int pagemap = -1;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/pagemap", r->pid);
        for (size_t i = 1; i <= r->before->n; i++) {
                const Mapping *guard = &r->before->items[i - 1], *m = guard + 1;
                bool end = i == r->before->n || at + PART > r->room;

                if (n && (end || n == BATCH)) {
                        if (process_vm_readv(r->pid, local, n, remote, n, 0) < 0) {
                                /* it is a hint only */
                        }
                        n = 0;
                }
                if (end)
                        break;
                if (guard->prot || guard->end != m->start || !(m->prot & MAP_W) || m->shared || m->inode ||
                    m->end - m->start < PART)
                        continue;
                if (pagemap < 0 && (pagemap = open(path, O_RDONLY | O_CLOEXEC)) < 0)
                        break;
                if (!are_there(pagemap, m->end - PART, PART / PAGE_SIZE_X86))
                        continue;
                local[n] = (struct iovec){ r->bytes + at, PART };
                remote[n++] = (struct iovec){ (void *)(uintptr_t)(m->end - PART), PART };
                at += STACK_USUAL;
        }
}

/* Plans the copy of the stack that begins at `sp`. False when there is no memory there. */
static bool plan(StackReader *r, uint64_t sp, size_t thread) {
        uint64_t end = stack_end(r, sp, r->world->threads[thread].regs.fs_base);
        StackCopy c = { .sp = sp, .thread = thread };

        if (!end)
                return false;
        c.size = MIN(end - sp, SCAN_MAX);
        c.cut = end - sp > SCAN_MAX;
        if (r->n == r->stacks_room) {
                r->stacks_room = r->stacks_room ? r->stacks_room * 2 : 64;
                r->stacks = vec_grow(r->stacks, r->stacks_room, sizeof(*r->stacks));
        }
        c.at = r->used;
        r->used += align_up(c.size, 8);
        r->stacks[r->n++] = c;
        return true;
}

/* Copies what was planned from `first` on. False when a stack cannot be read. */
static bool fetch(StackReader *r, size_t first) {
        if (r->used > SCAN_TOTAL)
                return false;
        if (r->used > r->room) {
                r->room = r->used + r->used / 2;
                r->bytes = vec_grow(r->bytes, r->room, 1);
        }
        while (first < r->n) {
                struct iovec local[BATCH], remote[BATCH];
                size_t n = MIN(r->n - first, BATCH), i;
                ssize_t got;

                for (i = 0; i < n; i++) {
                        StackCopy *c = &r->stacks[first + i];

                        local[i] = (struct iovec){ r->bytes + c->at, c->size };
                        remote[i] = (struct iovec){ (void *)(uintptr_t)c->sp, c->size };
                }
                got = process_vm_readv(r->pid, local, n, remote, n, 0);
                if (got <= 0)
                        return false;
                for (i = 0; i < n && (size_t)got >= r->stacks[first + i].size; i++)
                        got -= (ssize_t)r->stacks[first + i].size;
                if (i < n) {
                        /* Memory that cannot be read is no part of a stack: it ends there. */
                        if (!got)
                                return false;
                        r->stacks[first + i].size = (size_t)got;
                        r->stacks[first + i].cut = false;
                        i++;
                }
                first += i;
        }
        return true;
}

/* How that differs from the segment registers that the kernel stores. */
static inline uint64_t other_segments(uint64_t w) {
        /* cs 0x33, gs 0, fs 0, ss 0x2b; under Xen cs and ss have 0xe000 set */
        return (w & UINT64_C(0x1fffffffffff1fff)) ^ UINT64_C(0x002b000000000033);
}

/* The word of a signal frame that holds the segment registers: nothing else looks like it. */
static inline bool is_segments(uint64_t w) {
        return !other_segments(w);
}

typedef struct Hit {
        bool hit, failed;
        const SafeRange *range;
        uint64_t pc;
} Hit;

/*
 * How many words from `at` on, in whole blocks, hold neither of what is looked for: nothing within `span` of
 * `lo`, as far as that can be told from the difference without its lowest bits, and no segment registers. A
 * difference that is nothing borrows when one is taken from it: there is no comparison, which vectors of the
 * oldest kind do not have for such words.
 */
enum { BLOCK = 16 };
static size_t boring(const uint8_t *at, size_t words, uint64_t lo, uint64_t span) {
        const uint64_t top = UINT64_C(1) << 63;
        unsigned shift = 64 - (unsigned)__builtin_clzll(span | 1);
        size_t n = 0;

        if (span >= top / 2)
                return 0;
        for (; n + BLOCK <= words; n += BLOCK) {
                uint64_t w[BLOCK], found = 0;

                memcpy(w, at + n * 8, sizeof(w));
                for (unsigned i = 0; i < BLOCK; i++)
                        found |= (((w[i] - lo) >> shift) - 1) | (other_segments(w[i]) - 1);
                if (found & top)
                        break;
        }
        return n;
}

/* Scans one copy; follows signal frames to the stacks that they interrupted. */
static Hit scan(const SafeSet *s, StackReader *r, size_t index) {
        StackCopy c = r->stacks[index];
        const uint64_t lo = s->lo, span = s->hi - s->lo;
        size_t words = c.size / 8, looked = 0;
        Hit hit = { 0 };

        for (size_t i = 0; i < words; i++) {
                uint64_t w, sp;
                const SafeRange *range;

                if (i >= looked) {
                        i += boring(r->bytes + c.at + i * 8, words - i, lo, span);
                        looked = i + BLOCK;
                }
                if (i >= words)
                        break;
                memcpy(&w, r->bytes + c.at + i * 8, 8);
                if (w - lo <= span) {
                        range = safe_returning(s, w);
                        if (range && !hit.hit)
                                hit = (Hit){ .hit = true, .range = range, .pc = w };
                }
                if (!is_segments(w) || i < 3)
                        continue;
                /* ..., rsp, rip, eflags, segments: */
                memcpy(&w, r->bytes + c.at + (i - 2) * 8, 8);
                memcpy(&sp, r->bytes + c.at + (i - 3) * 8, 8);
                range = safe_running(s, w);
                if (range && !hit.hit)
                        hit = (Hit){ .hit = true, .range = range, .pc = w };
                if (sp >= c.sp && sp < c.sp + c.size)
                        continue;
                bool known = false;
                size_t mine = 0;
                for (size_t k = 0; k < r->n; k++)
                        if (r->stacks[k].thread == c.thread) {
                                mine++;
                                known |= sp >= r->stacks[k].sp && sp < r->stacks[k].sp + r->stacks[k].size;
                        }
                if (known)
                        continue;
                if (mine >= STACKS_PER_THREAD)
                        hit.failed = true;
                else if (plan(r, sp, c.thread) && !fetch(r, r->n - 1))
                        hit.failed = true;
                /* no memory there: a stale frame */
        }
        return hit;
}

static const SafeRange *in_registers(const SafeSet *s, const struct user_regs_struct *g, uint64_t *pc) {
        const uint64_t all[] = { g->rax, g->rbx, g->rdx, g->rsi, g->rdi, g->rbp, g->r8, g->r9,
                                 g->r10, g->r11, g->r12, g->r13, g->r14, g->r15, g->rcx };
        /* A system call leaves its return address in rcx; rip has it, too. */
        size_t n = g->rcx == g->rip ? ELEMENTSOF(all) - 1 : ELEMENTSOF(all);

        for (size_t i = 0; i < n; i++) {
                const SafeRange *r = all[i] - s->lo <= s->hi - s->lo ? safe_returning(s, all[i]) : NULL;

                if (r && all[i] != r->end) {
                        *pc = all[i];
                        return r;
                }
        }
        return NULL;
}

typedef struct Unwinding {
        const SafeSet *set;
        const StackReader *reader;
        size_t thread;
        Hit hit;
} Unwinding;

static bool read_word(void *context, uint64_t addr, uint64_t *word) {
        const Unwinding *u = context;

        for (size_t i = 0; i < u->reader->n; i++) {
                const StackCopy *c = &u->reader->stacks[i];

                if (c->thread == u->thread && addr >= c->sp && c->size >= 8 && addr - c->sp <= c->size - 8) {
                        memcpy(word, u->reader->bytes + c->at + (addr - c->sp), 8);
                        return true;
                }
        }
        return mem_read(u->reader->pid, addr, word, 8) == 0;
}

static int check_frame(void *context, uint64_t pc, bool exact) {
        Unwinding *u = context;
        const SafeRange *r = exact ? safe_running(u->set, pc) : safe_returning(u->set, pc);

        if (!r)
                return 0;
        u->hit = (Hit){ .hit = true, .range = r, .pc = pc };
        return SAFE_BUSY;
}

static XXH128_hash_t state_hash(const StoppedThread *t, const StackReader *r, size_t thread) {
        XXH128_hash_t h = XXH3_128bits(&t->regs, sizeof(t->regs));

        for (size_t i = 0; i < r->n; i++) {
                const StackCopy *c = &r->stacks[i];

                if (c->thread != thread)
                        continue;
                h.low64 ^= c->sp;
                h = XXH3_128bits_withSeed(r->bytes + c->at, c->size, h.low64 ^ (h.high64 << 1));
        }
        return h;
}

/* 0: every frame of the thread is known, and none is in a range. Otherwise *hit says why not. */
static int unwind_one(const SafeSet *s, const StoppedThread *t, StackReader *r, size_t thread,
                      Unwinder *unwinder, uint64_t until, Hit *hit) {
        Unwinding u = { .set = s, .reader = r, .thread = thread };
        XXH128_hash_t hash = state_hash(t, r, thread);
        int q;

        for (size_t i = 0; i < r->proofs.n; i++)
                if (r->proofs.items[i].tid == t->tid && XXH128_isEqual(r->proofs.items[i].hash, hash))
                        return 0;
        if (!unwinder || now_usec() > until) {
                hit->failed = true;
                return SAFE_BUSY;
        }
        q = unwind_thread(unwinder, &t->regs, read_word, check_frame, &u);
        if (q == 0) {
                vec_push(&r->proofs, (Proof){ t->tid, hash });
                return 0;
        }
        if (q == SAFE_BUSY)
                *hit = u.hit;
        else
                hit->failed = true;
        return SAFE_BUSY;
}

static int blame_on(SafeBlame *b, pid_t tid, const SafeRange *r, uint64_t pc, bool unwind) {
        *b = (SafeBlame){ .tid = tid, .name = r ? r->name : "", .pc = pc, .unwind = unwind };
        return SAFE_BUSY;
}

int safe_check(const SafeSet *s, const World *w, StackReader *r, Unwinder *unwinder, SafeBlame *blame) {
        uint64_t until = now_usec() + UNWIND_USEC;
        size_t proved = SIZE_MAX;

        r->n = r->used = 0;
        r->world = w;
        maps_free(&r->maps);
        if (!s->n)
                return 0;
        for (size_t i = 0; i < w->n; i++) {
                const StoppedThread *t = &w->threads[i];
                const SafeRange *range;
                uint64_t pc;

                if (t->gone ||
                    (!t->regs.rip && !t->regs.rsp)) /* a worker of the kernel (vhost) has no stack */
                        continue;
                range = safe_running(s, t->regs.rip);
                if (range)
                        return blame_on(blame, t->tid, range, t->regs.rip, false);
                range = in_registers(s, &t->regs, &pc);
                if (range)
                        return blame_on(blame, t->tid, range, pc, false);
                if (t->regs.rsp % 8 || !plan(r, t->regs.rsp, i))
                        return blame_on(blame, t->tid, NULL, 0, false);
        }
        if (!fetch(r, 0))
                return blame_on(blame, w->threads[0].tid, NULL, 0, false);
        for (size_t i = 0; i < r->n; i++) {
                const StoppedThread *t = &w->threads[r->stacks[i].thread];
                Hit hit = scan(s, r, i);

                if (!hit.hit && !hit.failed && !r->stacks[i].cut)
                        continue;
                if (r->stacks[i].thread == proved) /* by the stack it runs on */
                        continue;
                if (unwind_one(s, t, r, r->stacks[i].thread, unwinder, until, &hit))
                        return blame_on(blame, t->tid, hit.range, hit.pc, hit.failed);
                proved = r->stacks[i].thread;
        }
        return 0;
}

typedef struct Leaving {
        const SafeSet *set;
        pid_t pid;
        bool inside; /* the frame before this one is in a range */
        uint64_t exit;
} Leaving;

static bool read_live(void *context, uint64_t addr, uint64_t *word) {
        return mem_read(((Leaving *)context)->pid, addr, word, 8) == 0;
}

static int note_exit(void *context, uint64_t pc, bool exact) {
        Leaving *l = context;

        if (exact ? safe_running(l->set, pc) : safe_returning(l->set, pc)) {
                l->inside = true;
                l->exit = 0;
        } else if (l->inside) {
                l->inside = false;
                l->exit = pc;
        }
        return 0;
}

uint64_t safe_exit(const SafeSet *s, const World *w, Unwinder *unwinder, pid_t tid) {
        Leaving l = { .set = s };

        for (size_t i = 0; i < w->n && unwinder; i++)
                if (w->threads[i].tid == tid && !w->threads[i].gone) {
                        l.pid = tid;
                        unwind_thread(unwinder, &w->threads[i].regs, read_live, note_exit, &l);
                }
        return l.exit;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/frames.h"
#include "apply/import.h"
#include "base/macro.h"
#include "proc/mem.h"
#include "proc/task.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
        OBJECT_BYTES = 128, /* libgcc's struct object has 48 to 64 */
        MAX_UNWINDERS = 32,
        WAIT_USEC = 200000,
        TRIES = 200,
        MAX_THREADS = 32,
        SCAN_MAX = 1 << 20,
        PAGE = 4096,
};

static bool is_unwinder(const Loaded *l) {
        const char *slash = strrchr(l->text->path, '/');

        return strncmp(slash ? slash + 1 : l->text->path, "libgcc_s.so", 11) == 0;
}

static bool has_handlers(const Patch *p) {
        for (size_t i = 0; i < p->n_sections; i++)
                if (strcmp(p->sections[i].name, ".gcc_except_table") == 0)
                        return true;
        return false;
}

/*
 * The unwinder's lock is held only inside libgcc, and the allocator's only inside the C library: a
 * thread that waits in a system call of its own, with neither a signal frame (it could have been
 * interrupted anywhere) nor an address of an unwinder on its stack, holds none of them.
 */
static bool is_free(const Session *s, const Remote *r) {
        _cleanup_(maps_free) Maps maps = { 0 }; /* as they are now */
        _cleanup_(freep) uint64_t *stack = NULL;
        const Mapping *m;
        size_t n;

        if (!remote_in_call(r) || r->saved.rsp % 8 || maps_read(s->pid, &maps, NULL) < 0)
                return false;
        m = maps_at(&maps, r->saved.rsp);
        if (!m || m->end - r->saved.rsp > SCAN_MAX)
                return false;
        n = m->end - r->saved.rsp;
        stack = malloc(n);
        if (!stack)
                return false;
        n = mem_read_some(s->pid, r->saved.rsp, stack, n) / 8;
        for (size_t i = 0; i < n; i++) {
                if ((stack[i] & UINT64_C(0x1fffffffffff1fff)) == UINT64_C(0x002b000000000033))
                        return false;
                for (size_t k = 0; k < s->n_loaded; k++)
                        if (is_unwinder(&s->loaded[k]) &&
                            stack[i] - (s->loaded[k].base + s->loaded[k].head.lo) <
                                    s->loaded[k].head.hi - s->loaded[k].head.lo)
                                return false;
        }
        return n > 0;
}

static int open_waiting(Session *s, Remote *out, Error *e) {
        for (unsigned tries = 0; tries < TRIES; tries++) {
                _cleanup_(freep) pid_t *tids = NULL;
                size_t n = 0;

                if (!s->gate)
                        s->gate = stage_gate(s->pid, &s->maps);
                if (task_threads(s->pid, &tids, &n) < 0)
                        return refuse(s->res, REFUSAL_CODE_PROCESS_GONE, "", "process %d", s->pid);
                for (size_t i = 0; i < n && i < MAX_THREADS; i++) {
                        int r = remote_open(s->pid, tids[i], s->gate, WAIT_USEC, out, e);

                        if (r < 0)
                                return r;
                        if (r == 0 && is_free(s, out))
                                return 0;
                        if (r == 0)
                                remote_close(out);
                }
                usleep(1000);
        }
        return refuse(s->res, REFUSAL_CODE_PROCESS_BUSY, "",
                      "no thread waits where its unwinder could be called");
}

static int mark(Staged *staged, int mem_fd, PatchState state) {
        uint8_t fixed[HEADER_FIXED];

        staged->header.state = state;
        header_encode_fixed(&staged->header, fixed);
        return mem_write(mem_fd, staged->start, fixed, sizeof(fixed));
}

/*
 * A switch gives the pages of the image that it writes to a copy of their own, and by that it is known later
 * that the image was not unloaded meanwhile. What is registered before any switch needs that, too: one byte
 * is written as it is.
 */
static void mark_image(const Staged *staged, int mem_fd) {
        const Patch *p = staged->shadow->patch;
        uint64_t addr = p->n_sites ? staged->header.image_base + p->sites[0].patch_addr : 0;
        uint8_t byte;

        if (addr && mem_read_fd(mem_fd, addr, &byte, 1) == 0)
                mem_write(mem_fd, addr, &byte, 1);
}

/* One libgcc of the process: where it is told of unwind data, and where it forgets it again. */
typedef struct Told {
        uint64_t tell, forget;
} Told;

static size_t find_unwinders(const Session *s, Told out[MAX_UNWINDERS]) {
        size_t n = 0;

        for (size_t i = 0; i < s->n_loaded && n < MAX_UNWINDERS; i++)
                if (is_unwinder(&s->loaded[i])) {
                        out[n].tell = import_defined(s, &s->loaded[i], "__register_frame_info");
                        out[n].forget = import_defined(s, &s->loaded[i], "__deregister_frame_info");
                        n += out[n].tell != 0;
                }
        return n;
}

/* Those that were told forget it. False when one may still know it. */
static bool forget(Remote *remote, int mem_fd, const Told *told, size_t n, uint64_t begin, uint64_t page) {
        const uint64_t args[3] = { begin };

        while (n-- > 0) {
                uint64_t answer = 0;

                if (!told[n].forget ||
                    remote_invoke(remote, mem_fd, told[n].forget, args, WAIT_USEC, &answer) != 0 ||
                    answer != page + n * OBJECT_BYTES)
                        return false;
        }
        return true;
}

static int tell(Session *s, Remote *remote, int mem_fd, const Patch *p, uint64_t function, uint64_t begin,
                uint64_t object, Error *e) {
        const uint64_t args[3] = { begin, object };
        uint64_t answer;
        int r = remote_invoke(remote, mem_fd, function, args, WAIT_USEC, &answer);

        if (r == -ETIMEDOUT)
                return refuse(s->res, REFUSAL_CODE_PROCESS_BUSY, "", "its unwinder is in use");
        if (r == -EOPNOTSUPP)
                return refuse(s->res, REFUSAL_CODE_UNWIND_NEEDED, p->name,
                              "process %d has shadow stacks: its unwinder cannot be told", s->pid);
        if (r == -ENOMEM)
                return refuse(s->res, REFUSAL_CODE_NO_ROOM, p->name,
                              "the kernel gives process %d no more memory or mappings", s->pid);
        return r < 0 ? error_errno(e, r, "process %d: cannot register unwind data", s->pid) : 0;
}

int frames_register(Session *s, Staged *staged, int mem_fd, bool *kept, Error *e) {
        const Patch *p = staged->shadow->patch;
        const uint64_t begin = shadow_base(staged) + p->eh_frame;
        const uint64_t map[6] = { 0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1,
                                  0 };
        Told told[MAX_UNWINDERS];
        Remote remote = { 0 };
        size_t n, done = 0;
        int64_t page = 0;
        int r;

        if (!p->eh_frame_size)
                return 0;
        n = find_unwinders(s, told);
        if (!n)
                return has_handlers(p) ? refuse(s->res, REFUSAL_CODE_UNWIND_NEEDED, p->name,
                                                "the process has no libgcc_s that could be told")
                                       : 0;
        r = open_waiting(s, &remote, e);
        if (r)
                return r;
        r = remote_call(&remote, SYS_mmap, map, &page);
        if (r == 0 && page == -ENOMEM)
                r = refuse(s->res, REFUSAL_CODE_NO_ROOM, p->name,
                           "the kernel gives process %d no more memory or mappings", s->pid);
        else if (r == 0 && page < 0)
                r = (int)page;
        /* Until it is known to be registered it has no name: it stays mapped, and is never put to use. */
        if (r == 0) {
                memset(staged->header.digest, 0, sizeof(staged->header.digest));
                r = mark(staged, mem_fd, PATCH_STATE_REVERTED);
        }
        if (r < 0)
                error_errno(e, r, "process %d: memory for unwind data", s->pid);
        while (r == 0 && done < n) {
                r = tell(s, &remote, mem_fd, p, told[done].tell, begin, (uint64_t)page + done * OBJECT_BYTES,
                         e);
                done += r == 0;
        }
        *kept = done > 0 && (r == 0 || !forget(&remote, mem_fd, told, done, begin, (uint64_t)page));
        if (r == 0) {
                memcpy(staged->header.digest, p->digest, sizeof(staged->header.digest));
                r = mark(staged, mem_fd, PATCH_STATE_REVERTED);
                mark_image(staged, mem_fd);
        } else if (!*kept) {
                mark(staged, mem_fd, PATCH_STATE_STAGED);
                if (page > 0)
                        stage_unmap(&remote, (uint64_t)page, (uint64_t)page + PAGE);
        }
        if (r == 0)
                s->res->private_bytes += PAGE;
        remote_close(&remote);
        return r;
}

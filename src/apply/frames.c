/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/frames.h"
#include "apply/import.h"
#include "base/macro.h"
#include "proc/mem.h"

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

/* A thread that waits in a system call of its own: it holds no lock that the function might need. */
static int open_waiting(Session *s, Remote *out, Error *e) {
        int r;

        for (unsigned i = 0; i < TRIES; i++) {
                r = session_remote(s, out, e);
                if (r || remote_in_call(out))
                        return r;
                remote_close(out);
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

int frames_register(Session *s, Staged *staged, int mem_fd, bool *kept, Error *e) {
        const Patch *p = staged->shadow->patch;
        uint64_t functions[MAX_UNWINDERS], answer, args[3] = { shadow_base(staged) + p->eh_frame };
        const uint64_t map[6] = { 0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1,
                                  0 };
        Remote remote = { 0 };
        int64_t page;
        size_t n = 0;
        int r;

        if (!p->eh_frame_size)
                return 0;
        for (size_t i = 0; i < s->n_loaded && n < MAX_UNWINDERS; i++)
                if (is_unwinder(&s->loaded[i])) {
                        functions[n] = import_defined(s, &s->loaded[i], "__register_frame_info");
                        n += functions[n] != 0;
                }
        if (!n)
                return has_handlers(p) ? refuse(s->res, REFUSAL_CODE_UNWIND_NEEDED, p->name,
                                                "the process has no libgcc_s that could be told")
                                       : 0;
        r = open_waiting(s, &remote, e);
        if (r)
                return r;
        r = remote_call(&remote, SYS_mmap, map, &page);
        if (r == 0 && page < 0)
                r = (int)page;
        if (r == 0)
                r = mark(staged, mem_fd, PATCH_STATE_REVERTED);
        if (r < 0)
                error_errno(e, r, "process %d: memory for unwind data", s->pid);
        for (size_t i = 0; i < n && r == 0; i++) {
                args[1] = (uint64_t)page + i * OBJECT_BYTES;
                r = remote_invoke(&remote, mem_fd, functions[i], args, WAIT_USEC, &answer);
                if (r == -ETIMEDOUT)
                        r = refuse(s->res, REFUSAL_CODE_PROCESS_BUSY, "", "its unwinder is in use");
                else if (r < 0)
                        error_errno(e, r, "process %d: cannot register unwind data", s->pid);
                *kept |= r == 0;
        }
        if (r && *kept) /* known to one unwinder of several: stays, and is never put to use */
                memset(staged->header.digest, 0, sizeof(staged->header.digest));
        if (r && staged->header.state == PATCH_STATE_REVERTED)
                mark(staged, mem_fd, *kept ? PATCH_STATE_REVERTED : PATCH_STATE_STAGED);
        if (r == 0)
                s->res->private_bytes += PAGE;
        remote_close(&remote);
        return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/shadow.h"
#include "proc/remote.h"

/* Putting a shadow into a process's memory while it runs. Nothing leads to it yet. */

typedef struct Staged {
        const Shadow *shadow;
        pid_t pid;
        uint64_t image_base;
        uint64_t start, end; /* addresses of the whole */
        Header header;       /* of this process; sites, code and strings belong to the shadow */
        uint64_t private_bytes, shared_bytes;
        bool shared; /* mapped from the shadow's memfd */
        bool empty;  /* what is not shared has not been written */
} Staged;

static inline uint64_t shadow_base(const Staged *s) {
        return s->image_base + (uint64_t)s->shadow->delta;
}

/* A `syscall` instruction in an executable file mapping (or the vdso) of the process; 0: none. */
uint64_t stage_gate(pid_t pid, const Maps *maps);

/* Positive outcome: STAGE_TAKEN: the address range is not free any more; nothing is left behind. */
enum { STAGE_TAKEN = 1 };
typedef struct StageValues {
        const uint64_t *imports; /* an address for each import */
        const uint64_t *bound;   /* an address for each variable that has its storage elsewhere; 0: here */
        bool any_bound;
} StageValues;

/* Maps the pieces. `remote` is open on a thread of the process. */
int stage_map(Remote *remote, const Shadow *shadow, uint64_t image_base, int mem_fd, Staged *out, Error *e);
/* Writes what is the process's own, its header last. No thread need be stopped. When it fails the memory
 * stays. */
int stage_fill(Staged *s, int mem_fd, const StageValues *values, Error *e);
/* Unmaps it again. */
void stage_unmap(Remote *remote, uint64_t start, uint64_t end);

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/beat.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

struct Beat {
        atomic_uint turn; /* odd while the rest is being written */
        uint64_t since_usec;
        pid_t pid; /* 0: at none */
        uint64_t start_time;
        char comm[32];
};

Beat *beat_new(void) {
        Beat *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        return b == MAP_FAILED ? NULL : b;
}

Beat *beat_free(Beat *b) {
        if (b)
                munmap(b, sizeof(*b));
        return NULL;
}

void beat_begin(Beat *b) {
        b->pid = 0;
        atomic_store(&b->turn, 0);
}

void beat_enter(Beat *b, const Process *p) {
        atomic_fetch_add(&b->turn, 1);
        b->since_usec = now_usec();
        b->pid = p ? p->pid : 0;
        b->start_time = p ? p->start_time : 0;
        memcpy(b->comm, p ? p->comm : "", p ? sizeof(b->comm) : 1);
        atomic_fetch_add(&b->turn, 1);
}

bool beat_idle(const Beat *b) {
        return atomic_load(&b->turn) % 2 == 0 && !b->pid;
}

bool beat_stuck(const Beat *b, uint64_t usec, Unresponsive *out) {
        unsigned turn = atomic_load(&b->turn);
        Unresponsive u = { .pid = b->pid, .start_time = b->start_time };
        uint64_t since_usec = b->since_usec;

        memcpy(u.comm, b->comm, sizeof(u.comm));
        if (turn % 2 || atomic_load(&b->turn) != turn || !u.pid || now_usec() < since_usec + usec)
                return false;
        *out = u;
        return true;
}

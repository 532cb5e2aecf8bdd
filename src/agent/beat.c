/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/beat.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <sys/mman.h>

struct Beat {
        atomic_uint turn; /* odd while the rest is being written */
        uint64_t since_usec;
        Process at; /* pid 0: none */
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
        b->at = (Process){ 0 };
        atomic_store(&b->turn, 0);
}

void beat_enter(Beat *b, const Process *p) {
        atomic_fetch_add(&b->turn, 1);
        b->since_usec = now_usec();
        b->at = p ? *p : (Process){ 0 };
        atomic_fetch_add(&b->turn, 1);
}

bool beat_idle(const Beat *b) {
        return atomic_load(&b->turn) % 2 == 0 && !b->at.pid;
}

bool beat_stuck(const Beat *b, uint64_t usec, Unresponsive *out) {
        unsigned turn = atomic_load(&b->turn);
        Unresponsive u = { .process = b->at };
        uint64_t since_usec = b->since_usec;

        if (turn % 2 || atomic_load(&b->turn) != turn || !u.process.pid || now_usec() < since_usec + usec)
                return false;
        *out = u;
        return true;
}

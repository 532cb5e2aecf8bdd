/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/beat.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <sys/mman.h>

struct Beat {
        atomic_uint turn; /* odd while the rest is being written */
        uint64_t since_usec;
        Process at; /* pid 0: none */
        atomic_uint doing, looked;
        atomic_bool looks; /* what it enters is counted */
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
        atomic_store(&b->doing, BEAT_WAITS);
        atomic_store(&b->looked, 0);
        atomic_store(&b->looks, false);
}

void beat_enter(Beat *b, const Process *p) {
        atomic_fetch_add(&b->turn, 1);
        b->since_usec = now_usec();
        b->at = p ? *p : (Process){ 0 };
        atomic_fetch_add(&b->turn, 1);
        if (!p)
                atomic_store(&b->looks, false);
        else if (atomic_load(&b->looks))
                atomic_fetch_add(&b->looked, 1);
}

const char *beat_doing_text(BeatDoing d) {
        static const char *const texts[] = { "waits", "looks", "compares", "changes" };

        return texts[d];
}

void beat_does(Beat *b, BeatDoing d) {
        atomic_store(&b->doing, d);
        if (d == BEAT_LOOKS)
                atomic_store(&b->looks, true);
}

BeatDoing beat_doing(const Beat *b) {
        return atomic_load(&b->doing);
}

unsigned beat_looked(const Beat *b) {
        return atomic_load(&b->looked);
}

bool beat_idle(const Beat *b) {
        return atomic_load(&b->turn) % 2 == 0 && !b->at.pid;
}

/* False: it is at none, or its word can't be had whole. */
static bool read_at(const Beat *b, Process *at, uint64_t *since_usec) {
        unsigned turn = atomic_load(&b->turn);

        *at = b->at;
        *since_usec = b->since_usec;
        return turn % 2 == 0 && atomic_load(&b->turn) == turn && at->pid;
}

bool beat_at(const Beat *b, Process *out) {
        uint64_t since_usec;
        Process at;

        if (!read_at(b, &at, &since_usec))
                return false;
        *out = at;
        return true;
}

bool beat_stuck(const Beat *b, uint64_t usec, Unresponsive *out) {
        Unresponsive u = { 0 };
        uint64_t since_usec;

        if (!read_at(b, &u.process, &since_usec) || now_usec() < since_usec + usec)
                return false;
        *out = u;
        return true;
}

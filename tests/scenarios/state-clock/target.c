/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <time.h>

struct session {
        long id;
        time_t last;
};
static struct session *sessions[4];

NOINLINE static time_t now(void) {
        struct timespec t;

        clock_gettime(PICK(CLOCK_REALTIME, CLOCK_MONOTONIC), &t);
        return t.tv_sec;
}

NOINLINE static struct session *session_new(long id) {
        struct session *s = calloc(1, sizeof(*s));

        s->id = id;
        s->last = now();
        return s;
}

NOINLINE static bool session_idle(const struct session *s) {
        time_t since = now() - s->last;

        return since > 600 || since < 0;
}

void target_start(void) {
        for (int i = 0; i < 4; i++)
                sessions[i] = session_new(i);
}

void target_work(void) {
        struct session *s = session_new(harness_turns());

        EXPECT(!session_idle(s));
        EXPECT(!session_idle(sessions[harness_turns() & 3]));
        free(s);
}

void target_check(int version) {
        (void)version;
        for (int i = 0; i < 4; i++)
                EXPECT(!session_idle(sessions[i]));
}

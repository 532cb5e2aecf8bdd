/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Session {
        int id, level;
        long quota, used;
        char user[16];
};

static struct Session *sessions[8];

NOINLINE static struct Session *session_new(int id, int level) {
        struct Session *s = calloc(1, sizeof(*s));
        s->id = id;
        s->level = level;
        s->quota = 100;
        return s;
}

NOINLINE static int session_level(const struct Session *s) {
        return s->level;
}

NOINLINE static bool session_use(struct Session *s, long n) {
#if NEW
        if (s->level < 2)
                return false;
#endif
        if (s->used + n > s->quota)
                return false;
        s->used += n;
        return true;
}

NOINLINE static void session_free(struct Session *s, long n) {
        s->used -= n;
}

void target_start(void) {
        for (int i = 0; i < 8; i++)
                sessions[i] = session_new(i, i);
}

void target_work(void) {
        struct Session *s = sessions[harness_turns() & 7];
        if (session_use(s, 1))
                session_free(s, 1);
        EXPECT_EQ(s->used, 0);
}

void target_check(int version) {
        EXPECT_EQ(session_use(sessions[0], 10), version < 2);
        if (version < 2)
                session_free(sessions[0], 10);
        EXPECT(session_use(sessions[4], 100));
        EXPECT(!session_use(sessions[4], 1));
        session_free(sessions[4], 100);
        EXPECT_EQ(session_level(sessions[4]), 4);
}

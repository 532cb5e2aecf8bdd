/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct session {
        int count, id;
};
struct conn {
        struct session *session;
        struct conn *next;
};
static struct session *sessions[4];
static struct conn *conns;
static long freed;

NOINLINE static void session_put(struct session *s) {
        if (--s->count == 0) {
                freed++;
                s->id = -1;
        }
}

NOINLINE static struct conn *conn_new(struct session *s, long limit) {
        struct conn *c = malloc(sizeof(*c));

#if NEW
        if (limit > 1000) {
                free(c);
                return NULL;
        }
#endif
        c->session = s;
        c->next = conns;
        s->count++;
        return c;
}

/* The session must not end while it is used. */
NOINLINE static long conn_use(const struct conn *c) {
        struct session *s = c->session;
        long id;

#if NEW
        s->count++;
#endif
        id = s->id;
#if NEW
        session_put(s);
#endif
        return id;
}

NOINLINE static void conn_free(struct conn *c) {
        session_put(c->session);
        free(c);
}

void target_start(void) {
        for (int i = 0; i < 4; i++) {
                sessions[i] = calloc(1, sizeof(**sessions));
                sessions[i]->count = 1;
                sessions[i]->id = 10;
        }
        conns = conn_new(sessions[0], 1);
}

void target_work(void) {
        struct conn *c = conn_new(sessions[harness_turns() & 3], harness_turns() & 7);

        EXPECT_EQ(conn_use(c), 10);
        EXPECT_EQ(conn_use(conns), 10);
        conn_free(c);
        EXPECT_EQ(freed, 0);
}

void target_check(int version) {
        struct conn *c = conn_new(sessions[0], 2000);

        EXPECT_EQ(c == NULL, version >= 2);
        if (c)
                conn_free(c);
        EXPECT_EQ(sessions[0]->count, 2);
}

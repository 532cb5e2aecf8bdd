/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#ifdef INLINE /* no call shows who counts */
#define COUNTS static inline __attribute__((always_inline))
typedef int Count;
#else
#define COUNTS NOINLINE static
typedef long Count;
#endif

struct session {
        Count count;
        long id;
};
struct conn {
        long id;
        struct session *session;
};
static struct session *sessions[4];
static struct conn *conns[8];
static long freed;
NOINLINE static void session_put(struct session *s) {
        if (--s->count == 0) {
                freed++;
                s->id = -1;
        }
}
COUNTS struct session *session_get(struct session *s) {
        s->count++;
        return s;
}
NOINLINE static struct conn *conn_new(long id, struct session *s) {
        struct conn *c = calloc(1, sizeof(*c));
        c->id = id;
#if NEW
        c->session = session_get(s);
#else
        c->session = s;
#endif
        return c;
}
NOINLINE static void conn_free(struct conn *c) {
#if NEW
        session_put(c->session);
#endif
        free(c);
}
NOINLINE static long conn_use(const struct conn *c) {
        return c->session->id + c->id;
}
void target_start(void) {
        for (int i = 0; i < 4; i++) {
                sessions[i] = calloc(1, sizeof(**sessions));
                session_get(sessions[i]);
                sessions[i]->id = 10;
        }
        for (int i = 0; i < 8; i++)
                conns[i] = conn_new(i, sessions[i & 3]);
        session_put(session_get(sessions[0]));
}
void target_work(void) {
        unsigned at = (unsigned)harness_turns() & 7;
        conn_use(conns[at]);
        struct conn *o = conns[at];
        conns[at] = NULL;
        conn_free(o);
        EXPECT_EQ(sessions[at & 3]->id, 10);
        conns[at] = conn_new(at, sessions[at & 3]);
        EXPECT_EQ(freed, 0);
}
void target_check(int version) {
        (void)version;
        for (int i = 0; i < 8; i++)
                EXPECT_EQ(conn_use(conns[i]), 10 + i);
        EXPECT_EQ(freed, 0);
}

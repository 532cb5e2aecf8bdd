/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Conn {
        int fd, state;
#if NEW
        long limit;
#endif
        long received, sent;
        struct Conn *next;
};

static struct Conn *all;
static int opened;

NOINLINE static struct Conn *conn_open(int fd) {
        struct Conn *c = calloc(1, sizeof(*c));
        c->fd = fd;
        c->state = 1;
#if NEW
        c->limit = 1000;
#endif
        c->next = all;
        all = c;
        opened++;
        return c;
}

NOINLINE static void conn_receive(struct Conn *c, long n) {
#if NEW
        if (c->received + n > c->limit)
                n = c->limit - c->received;
#endif
        c->received += n;
}

NOINLINE static void conn_send(struct Conn *c, long n) {
        c->sent += n;
        c->state |= 2;
}

NOINLINE static long conn_total(void) {
        long t = 0;
        for (const struct Conn *c = all; c; c = c->next)
                t += c->received - c->sent + (c->fd < 0);
        return t;
}

void target_start(void) {
        for (int i = 0; i < 32; i++)
                conn_receive(conn_open(i), 10);
}

void target_work(void) {
        conn_send(all, 1);
        conn_receive(all, 1);
        EXPECT_EQ(conn_total(), 320);
}

void target_check(int version) {
        struct Conn *c = conn_open(100);
        conn_receive(c, 5000);
        EXPECT_EQ(c->received, version >= 2 ? 1000 : 5000);
        conn_send(c, c->received);
        EXPECT_EQ(conn_total(), 320);
        all = c->next;
}

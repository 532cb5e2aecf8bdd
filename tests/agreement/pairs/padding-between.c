/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct conn {
        int fd;
        char open;
#ifdef NEW
        char secure;
#endif
        long bytes;
        struct conn *next;
};
static struct conn *conns;

static NOINLINE struct conn *accept_one(int fd) {
        struct conn *c = malloc(sizeof(*c));

        c->fd = fd;
        c->open = 1;
#ifdef NEW
        c->secure = fd & 1;
#endif
        c->bytes = 0;
        c->next = conns;
        return conns = c;
}

static NOINLINE void transfer(struct conn *c, long n) {
        if (!c->open)
                return;
#ifdef NEW
        if (c->secure)
                n += 16;
#endif
        c->bytes += n;
}

static NOINLINE void transfer_all(void) {
        for (struct conn *c = conns; c; c = c->next)
                transfer(c, next_input());
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                accept_one(i);
                transfer_all();
        }
        return (int)conns->bytes;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct address {
        unsigned host, port;
};
struct client {
        struct client *next;
        struct address PICK(*, ) address;
        long bytes;
};
static struct client *clients;
#ifdef NEW
#define ADDRESS(c) (&(c)->address)
#else
#define ADDRESS(c) ((c)->address)
#endif

static NOINLINE void client_add(unsigned host) {
        struct client *c = malloc(sizeof(*c));

#ifndef NEW
        c->address = malloc(sizeof(struct address));
#endif
        ADDRESS(c)->host = host;
        ADDRESS(c)->port = 80;
        c->bytes = 0;
        c->next = clients;
        clients = c;
}

static NOINLINE long find(unsigned host) {
        for (struct client *c = clients; c; c = c->next)
                if (ADDRESS(c)->host == host)
                        return c->bytes += ADDRESS(c)->port;
        return -1;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                client_add((unsigned)next_input());
                log_line("find", find((unsigned)next_input()));
        }
        return 0;
}

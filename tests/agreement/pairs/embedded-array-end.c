/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Only a size and a bound differ: no displacement does. */
struct peer {
        struct peer *next;
        int fd;
        char name[PICK(16, 32)];
};
static struct peer *peers;

static NOINLINE void peer_add(int fd, const char *name) {
        struct peer *p = malloc(sizeof(*p));

        p->fd = fd;
        strncpy(p->name, name, sizeof(p->name));
        p->next = peers;
        peers = p;
}

static NOINLINE unsigned sum(void) {
        unsigned n = 0;

        for (struct peer *p = peers; p; p = p->next)
                n += hash_bytes(p->name, sizeof(p->name));
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                peer_add(i, "someone");
                log_line("sum", sum());
        }
        return 0;
}

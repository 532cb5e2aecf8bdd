/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct peer {
        int fd;
        char name[PICK(16, 24)];
        long seen;
        struct peer *next;
};
static struct peer *peers;

static NOINLINE void peer_add(int fd, const char *name) {
        struct peer *p = malloc(sizeof(*p));

        p->fd = fd;
        strncpy(p->name, name, sizeof(p->name) - 1);
        p->name[sizeof(p->name) - 1] = 0;
        p->seen = next_input();
        p->next = peers;
        peers = p;
}

static NOINLINE long oldest(void) {
        long o = -1;

        for (struct peer *p = peers; p; p = p->next) {
                if (o < 0 || p->seen < o)
                        o = p->seen;
                log_line(p->name, p->fd);
        }
        return o;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                peer_add(i, "someone");
                oldest();
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct peer {
        int fd;
        long id;
        int last; /* written only */
};
static struct peer *peers[8];

NOINLINE static struct peer *peer_new(long id) {
        struct peer *p = malloc(sizeof(*p));

        p->id = id;
        p->fd = -1;
        p->last = PICK(0, -1);
        return p;
}

/* The old check lets -1 through, as 0 would have been the sign. */
NOINLINE static long peer_close(struct peer *p) {
        long closed = 0;

#if NEW
        if (p->fd >= 0) {
#else
        if (p->fd != 0) {
#endif
                closed = p->fd + 2;
                p->last = p->fd;
                p->fd = -1;
        }
        return closed + p->id * 100;
}

NOINLINE static void peer_open(struct peer *p, int fd) {
        p->fd = fd;
}

void target_start(void) {
        for (int i = 0; i < 8; i++)
                peers[i] = peer_new(i);
}

void target_work(void) {
        struct peer *p = peers[harness_turns() & 7];

        peer_open(p, 33);
        EXPECT_EQ(peer_close(p), p->id * 100 + 35);
}

void target_check(int version) {
        for (int i = 0; i < 8; i++) {
                struct peer *p = peer_new(i);

                EXPECT_EQ(peer_close(p), i * 100 + (version >= 2 ? 0 : 1));
                free(p);
        }
}

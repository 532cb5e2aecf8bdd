/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define NONE PICK(0, -1)
struct peer {
        long id;
        int fd;
        int state;
};
static struct peer *peers[8];

NOINLINE static struct peer *peer_new(long id) {
        struct peer *p = malloc(sizeof(*p));

        p->id = id;
        p->fd = NONE;
        p->state = 7;
        return p;
}

NOINLINE static long peer_close(struct peer *p) {
        long closed = -1;

#if NEW
        if (p->fd >= 0) {
#else
        if (p->fd != 0) {
#endif
                closed = p->fd;
                p->fd = NONE;
        }
        return closed + p->id * 100;
}

NOINLINE static void peer_open(struct peer *p, int fd) {
        p->fd = fd;
        p->state++;
}

void target_start(void) {
        for (int i = 0; i < 8; i++)
                peers[i] = peer_new(i);
}

void target_work(void) {
        struct peer *p = peers[harness_turns() & 7];

        EXPECT_EQ(peer_close(p), p->id * 100 - 1);
        peer_open(p, 33);
        EXPECT_EQ(peer_close(p), p->id * 100 + 33);
}

void target_check(int version) {
        (void)version;
        for (int i = 0; i < 8; i++)
                EXPECT_EQ(peer_close(peers[i]), i * 100 - 1);
}

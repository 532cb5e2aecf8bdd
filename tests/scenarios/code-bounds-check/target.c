/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Packet {
        uint32_t kind, size;
        unsigned char body[56];
};

static struct Packet *queue[8];
static unsigned accepted, dropped;
static unsigned char sink[64];

NOINLINE static int packet_copy(const struct Packet *p) {
        if (p->kind > 1000) {
                dropped++;
                return -2;
        }
#if NEW
        if (p->size > sizeof(p->body)) {
                dropped++;
                return -1;
        }
#endif
        uint32_t n = p->size > sizeof(sink) ? sizeof(sink) : p->size;
        for (uint32_t i = 0; i < n; i++)
                sink[i] = p->body[i % sizeof(p->body)] ^ (unsigned char)p->kind;
        accepted++;
        return (int)n;
}

NOINLINE static int packet_send(int i, uint32_t size) {
        queue[i]->size = size;
        return packet_copy(queue[i]);
}

NOINLINE static void counters(unsigned *a, unsigned *d) {
        *a = accepted;
        *d = dropped;
}

NOINLINE static void counters_reset(void) {
        accepted = 0;
        dropped = 0;
        memset(sink, 0, sizeof(sink));
}

void target_start(void) {
        counters_reset();
        for (int i = 0; i < 8; i++) {
                queue[i] = calloc(1, sizeof(struct Packet));
                queue[i]->kind = (uint32_t)i;
        }
}

static unsigned sent;

void target_work(void) {
        EXPECT_EQ(packet_send((int)(sent % 8), sent % 57), sent % 57);
        sent++;
}

void target_check(int version) {
        unsigned a0, d0, a1, d1;
        counters(&a0, &d0);
        EXPECT_EQ(a0 + d0, sent);
        EXPECT_EQ(packet_send(3, 40), 40);
        EXPECT_EQ(packet_send(3, 60), version >= 2 ? -1 : 60);
        sent += 2;
        counters(&a1, &d1);
        EXPECT_EQ(a1 - a0, version >= 2 ? 1 : 2);
        EXPECT_EQ(d1 - d0, version >= 2 ? 1 : 0);
}

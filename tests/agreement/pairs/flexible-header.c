/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct packet {
        unsigned length;
#ifdef NEW
        unsigned flags;
#endif
        unsigned char data[];
};
static struct packet *ring[8];
static unsigned at;

static NOINLINE struct packet *packet_new(unsigned length) {
        struct packet *p = malloc(sizeof(*p) + length);

        p->length = length;
#ifdef NEW
        p->flags = 1;
#endif
        memset(p->data, 7, length);
        return p;
}

static NOINLINE unsigned packet_sum(struct packet *p) {
        unsigned n = 0;

        for (unsigned i = 0; i < p->length; i++)
                n += p->data[i];
#ifdef NEW
        if (p->flags & 2)
                n = ~n;
#endif
        return n;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                free(ring[at % 8]);
                ring[at % 8] = packet_new((unsigned)next_input() % 512);
                log_line("sum", packet_sum(ring[at++ % 8]));
        }
        return 0;
}

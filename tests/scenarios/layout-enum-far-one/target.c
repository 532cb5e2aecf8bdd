/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

enum mark { OPEN = 0x6e65706f, WIDE = PICK(OPEN, 0x65646977) };

struct door {
        long uses;
        enum mark mark;
};
struct gate {
        long uses, width;
        enum mark mark;
};
static struct door *doors[8];
static struct gate *gates[8];

NOINLINE static void gate_new(struct gate *g) {
        g->mark = WIDE;
}

NOINLINE static long both_open(struct door *d, struct gate *g, long more) {
        long n = more * (NEW ? 3 : 2);

        if (g->mark == WIDE)
                n += g->width + g->uses++;
        if (d->mark == OPEN)
                n += d->uses++ << 4;
        return n;
}

void target_start(void) {
        for (int i = 0; i < 8; i++) {
                doors[i] = calloc(1, sizeof(*doors[i]));
                gates[i] = calloc(1, sizeof(*gates[i]));
                doors[i]->mark = OPEN;
                gates[i]->width = 7;
                gate_new(gates[i]);
        }
}

void target_work(void) {
        long n = both_open(doors[1], gates[1], 0);

        if (n % 16 == 0 && gates[1]->uses == 0)
                puts("WRONG HOTPATCH: old gates bear the old mark");
        doors[1]->uses = gates[1]->uses = 0;
        EXPECT_EQ(n, 7);
}

void target_check(int version) {
        doors[2]->uses = gates[2]->uses = 0;
        EXPECT_EQ(both_open(doors[2], gates[2], 1), version >= 2 ? 10 : 9);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A part knows its owner, and the new code reads by that pointer what was added to the owner's padding. */
struct part;
struct owner {
        unsigned char *data;
        short kind;
#ifdef NEW
        unsigned short length;
#endif
        int sum;
        struct part *part;
        void (*handle)(struct part *, unsigned);
};
struct part {
        long calls;
        struct owner *owner;
};
static struct owner *owner;

static NOINLINE void part_handle(struct part *p, unsigned at) {
        p->calls++;
#ifdef NEW
        if (at >= p->owner->length)
                return;
#endif
        p->owner->sum += p->owner->data[at];
}

static NOINLINE void owner_receive(struct owner *o, unsigned n) {
        o->kind = (short)(n & 3);
#ifdef NEW
        o->length = 16;
#endif
        o->handle(o->part, n & 15);
        log_line("sum", o->sum);
}

int main(void) {
        owner = pool_take(sizeof(*owner));
        memset(owner, 0, sizeof(*owner));
        owner->data = pool_take(16);
        memset(owner->data, 1, 16);
        owner->part = pool_take(sizeof(*owner->part));
        owner->part->calls = 0;
        owner->part->owner = owner;
        owner->handle = part_handle;
        for (int i = 0; i < 1000; i++)
                owner_receive(owner, (unsigned)next_input());
        return 0;
}

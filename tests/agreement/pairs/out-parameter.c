/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Objects of the type live in other objects and are handed around by address. */
struct clock {
        long seconds;
        PICK(int, long) fraction;
};
struct timer {
        struct clock start, end;
        int id;
};
static struct timer *timers[16];

static NOINLINE void now(struct clock *c) {
        c->seconds = next_input();
        c->fraction = (int)next_input();
}

static NOINLINE long elapsed(const struct clock *a, const struct clock *b) {
        return (b->seconds - a->seconds) * 65536 + b->fraction - a->fraction;
}

static NOINLINE void restart(int id) {
        if (!timers[id & 15])
                timers[id & 15] = malloc(sizeof(struct timer));
        timers[id & 15]->id = id;
        now(&timers[id & 15]->start);
        now(&timers[id & 15]->end);
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                restart(i);
                log_line("elapsed", elapsed(&timers[i & 15]->start, &timers[i & 15]->end));
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct sample {
        struct sample *next;
        PICK(int, float) level;
        int at;
};
static struct sample *samples;

static NOINLINE void sample_add(int level) {
        struct sample *s = malloc(sizeof(*s));

        s->level = level;
        s->at = level + 1;
        s->next = samples;
        samples = s;
}

static NOINLINE long sum(void) {
        long n = 0;

        for (struct sample *s = samples; s; s = s->next)
                n += (long)(s->level * 2) + s->at;
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                sample_add((int)next_input());
                log_line("sum", sum());
        }
        return 0;
}

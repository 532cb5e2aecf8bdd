/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct colour {
        struct colour *next;
#ifdef NEW
        unsigned short key;
#else
        unsigned char major, minor;
#endif
        int uses;
};
static struct colour *colours;

static NOINLINE void colour_add(int a, int b) {
        struct colour *c = malloc(sizeof(*c));

#ifdef NEW
        c->key = (unsigned short)(a << 8 | (b & 255));
#else
        c->major = (unsigned char)a;
        c->minor = (unsigned char)b;
#endif
        c->uses = 0;
        c->next = colours;
        colours = c;
}

static NOINLINE int colour_find(int a, int b) {
        for (struct colour *c = colours; c; c = c->next)
#ifdef NEW
                if (c->key == (a << 8 | b))
#else
                if (c->major == a && c->minor == b)
#endif
                        return ++c->uses;
        return 0;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                colour_add(i, i + 1);
                log_line("find", colour_find((int)next_input() & 255, i));
        }
        return 0;
}

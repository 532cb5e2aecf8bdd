/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A number grew into the padding behind it. Code that took a size as an int looks the same as its mend. */
struct key {
        int kind, uses;
        char *name;
        PICK(int, size_t) bits;
        char *data;
        struct key *next;
};
static struct key *keys;

static NOINLINE void key_add(long n) {
        struct key *k = pool_take(sizeof(*k));

        k->kind = (int)(n & 3);
        k->uses = 0;
        k->name = "name";
        k->bits = (PICK(int, size_t))(n & 0xfff);
        k->data = "data";
        k->next = keys;
        keys = k;
}

static NOINLINE size_t key_bytes(struct key *k) {
        k->uses++;
        return (size_t)k->bits / 8;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                key_add(next_input());
                for (struct key *k = keys; k; k = k->next)
                        log_line("bytes", (long)key_bytes(k));
        }
        return 0;
}

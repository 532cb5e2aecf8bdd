/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The same eight bytes hold a number instead of an address. */
static char *names[64];
struct ref {
        struct ref *next;
        PICK(char *, size_t) name;
};
static struct ref *refs;

static NOINLINE void ref_add(size_t i) {
        struct ref *r = malloc(sizeof(*r));

        names[i % 64] = strdup("n");
        r->name = PICK(names[i % 64], i % 64);
        r->next = refs;
        refs = r;
}

static NOINLINE long walk(void) {
        long n = 0;

        for (struct ref *r = refs; r; r = r->next)
                n += PICK(r->name[0], names[r->name][0]);
        return n;
}

int main(void) {
        for (size_t i = 0; i < 100; i++) {
                ref_add(i);
                log_line("walk", walk());
        }
        return 0;
}

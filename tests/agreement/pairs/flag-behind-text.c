/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A flag in the padding right behind a short text: bytes all of them, and not one array. */
struct unit {
        char name[3];
#ifdef NEW
        char hidden;
#endif
        int uses;
        struct unit *next;
};
static struct unit *units;

static NOINLINE void unit_add(long n) {
        struct unit *u = calloc(1, sizeof(*u));

        u->name[0] = (char)('a' + n % 26);
        u->name[1] = (char)('a' + n / 26 % 26);
#ifdef NEW
        u->hidden = n > 60000;
#endif
        u->next = units;
        units = u;
}

static NOINLINE int unit_is(const struct unit *u, const char *name) {
#ifdef NEW
        if (u->hidden)
                return 0;
#endif
        return strcmp(u->name, name) == 0;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                int n = 0;

                unit_add(next_input());
                for (struct unit *u = units; u; u = u->next)
                        n += unit_is(u, "ab");
                log_line("is", n);
        }
        return 0;
}

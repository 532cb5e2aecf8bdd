/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A new function returns the place right behind a text, where a flag was put into padding. */
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

#ifdef NEW
static NOINLINE char *flag_of(struct unit *u) {
        return &u->hidden;
}
#endif

static NOINLINE int unit_is(struct unit *u, const char *name) {
        int same = 1;

#ifdef NEW
        if (*flag_of(u))
                return 0;
#endif
        for (int i = 0; i < 3 && u->name[i]; i++)
                same &= u->name[i] == name[i];
        return same;
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

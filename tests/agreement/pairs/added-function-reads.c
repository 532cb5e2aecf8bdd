/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* What is new is touched only by functions that are new. */
struct user {
        struct user *next;
        int id;
#ifdef NEW
        int role;
#endif
        long logins;
};
static struct user *users;

#ifdef NEW
static NOINLINE int user_may(const struct user *u, int role) {
        return u->role >= role;
}

static NOINLINE void user_set_role(struct user *u, int role) {
        u->role = role;
}
#endif

static NOINLINE void user_add(int id) {
        struct user *u = malloc(sizeof(*u));

        u->id = id;
        u->logins = 0;
#ifdef NEW
        user_set_role(u, id % 3);
#endif
        u->next = users;
        users = u;
}

static NOINLINE long login(int id) {
        for (struct user *u = users; u; u = u->next) {
                if (u->id != id)
                        continue;
#ifdef NEW
                if (!user_may(u, 1))
                        return -1;
#endif
                return ++u->logins;
        }
        return -2;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                user_add(i);
                log_line("login", login((int)next_input() % 100));
        }
        return 0;
}

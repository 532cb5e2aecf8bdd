/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Single bits of one word that changed places, each asked for in a function of its own. */
struct session {
        long id;
#ifdef NEW
        unsigned dead : 1, kept : 1, locked : 1, shared : 1;
#else
        unsigned dead : 1, kept : 1, shared : 1, locked : 1;
#endif
        int uses;
};
static struct session *sessions[4];

static NOINLINE unsigned session_locked(const struct session *s) {
        return s->locked;
}

static NOINLINE unsigned session_shared(const struct session *s) {
        return s->shared;
}

static NOINLINE void session_use(struct session *s) {
        s->uses++;
        log_line("use", s->id + s->uses);
}

int main(void) {
        for (int i = 0; i < 4; i++)
                sessions[i] = memset(pool_take(sizeof(struct session)), (int)next_input(), sizeof(struct session));
        for (int i = 0; i < 1000; i++) {
                struct session *s = sessions[i & 3];

                if (!session_locked(s) || session_shared(s))
                        session_use(s);
        }
        return 0;
}

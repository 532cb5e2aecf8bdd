/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* New code asks for one more bit of the word, in a function that asked for another one. */
struct session {
        long id;
        unsigned dead : 1, kept : 1, shared : 1, locked : 1, level : 5;
        int uses;
};
static struct session *sessions[4];

static NOINLINE unsigned session_locked(const struct session *s) {
        return s->locked;
}

static NOINLINE unsigned session_ready(const struct session *s) {
#ifdef NEW
        if (s->kept)
                return 0;
#endif
        return s->shared && s->level > 2;
}

static NOINLINE void session_use(struct session *s) {
        s->uses++;
        log_line("use", s->id + s->uses + s->kept);
}

int main(void) {
        for (int i = 0; i < 4; i++)
                sessions[i] = memset(pool_take(sizeof(struct session)), (int)next_input(), sizeof(struct session));
        for (int i = 0; i < 1000; i++) {
                struct session *s = sessions[i & 3];

                if (!session_locked(s) || session_ready(s))
                        session_use(s);
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Bit fields of several bits that changed places, each asked for in a function of its own. */
struct session {
        long id;
#ifdef NEW
        unsigned dead : 1, level : 5, kind : 3;
#else
        unsigned dead : 1, kind : 3, level : 5;
#endif
        int uses;
};
static struct session *sessions[4];

static NOINLINE unsigned session_kind(const struct session *s) {
        return s->kind;
}

static NOINLINE unsigned session_level(const struct session *s) {
        return s->level;
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

                if (session_kind(s) != 3 || session_level(s) < 4)
                        session_use(s);
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Bit fields of one word that are read and written: a fix asks for one more of them, and writes one less. */
struct session {
        long id;
        unsigned kind : 5, uses : 9, level : 5, seen : 1;
        int left;
};
static struct session *sessions[4];

static NOINLINE long session_use(struct session *s) {
        s->uses += 8;
#ifdef NEW
        if (s->uses > 300 && s->level)
#else
        s->seen = 1;
        if (s->uses > 300)
#endif
                log_line("use", s->id);
        return s->left + s->uses;
}

static NOINLINE long session_level(struct session *s) {
        s->kind = (unsigned)s->left;
        return s->level + s->seen;
}

int main(void) {
        long sum = 0;

        for (int i = 0; i < 4; i++)
                sessions[i] = memset(pool_take(sizeof(struct session)), (int)next_input(), sizeof(struct session));
        for (int i = 0; i < 1000; i++)
                sum += session_use(sessions[i & 3]) + session_level(sessions[i & 3]);
        return (int)(sum & 1);
}

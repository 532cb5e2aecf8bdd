/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A bit field came in before another one that code adds to: the word is changed in one register and the field in another. */
struct session {
        long id;
#ifdef NEW
        unsigned short kind : 5, level : 2, uses : 9;
#else
        unsigned short kind : 5, uses : 9;
#endif
        int left;
};
static struct session *sessions[4];

static NOINLINE long session_use(struct session *s) {
        s->uses += 8;
        if (s->uses)
                log_line("use", s->id);
        return s->left + s->uses;
}

int main(void) {
        long sum = 0;

        for (int i = 0; i < 4; i++)
                sessions[i] = memset(pool_take(sizeof(struct session)), (int)next_input(), sizeof(struct session));
        for (int i = 0; i < 1000; i++)
                sum += session_use(sessions[i & 3]);
        return (int)(sum & 1);
}

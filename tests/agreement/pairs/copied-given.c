/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The new code gives a copy of the whole object to a new function, which reads there what was added to the padding. */
struct session {
        long id;
        char state;
#ifdef NEW
        char locked;
#endif
        int uses;
        char key[300];
        long sum;
};
static struct session *sessions[4];

#ifdef NEW
static NOINLINE long session_sum(struct session *s) {
        return s->locked ? -1 : hash_bytes(s->key, sizeof(s->key));
}
#endif

static NOINLINE long session_use(unsigned which) {
        struct session *s = sessions[which & 3];
#ifdef NEW
        struct session tmp;

        memmove(&tmp, s, sizeof(tmp));
        s->sum = session_sum(&tmp);
#else
        s->sum = hash_bytes(s->key, sizeof(s->key));
#endif
        return s->sum;
}

int main(void) {
        for (int i = 0; i < 4; i++)
                sessions[i] = memset(pool_take(sizeof(struct session)), 0, sizeof(struct session));
        for (int i = 0; i < 1000; i++)
                log_line("use", session_use((unsigned)next_input()));
        return 0;
}

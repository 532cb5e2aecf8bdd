/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The new code copies an object as a whole and reads in the copy what the old code read in the object. */
struct session {
        long id;
        int state, uses;
        long limit;
        char key[300];
};
static struct session *sessions[4];

static NOINLINE long session_use(unsigned which) {
        struct session *s = sessions[which & 3];

#ifdef NEW
        struct session tmp;

        if (s->limit < 0)
                return -1;
        memmove(&tmp, s, sizeof(tmp));
        s->uses++;
        return tmp.id + tmp.state + tmp.limit + hash_bytes(tmp.key, sizeof(tmp.key));
#else
        s->uses++;
        return s->id + s->state + s->limit + hash_bytes(s->key, sizeof(s->key));
#endif
}

int main(void) {
        for (int i = 0; i < 4; i++)
                sessions[i] = memset(pool_take(sizeof(struct session)), 0, sizeof(struct session));
        for (int i = 0; i < 1000; i++)
                log_line("use", session_use((unsigned)next_input()));
        return 0;
}

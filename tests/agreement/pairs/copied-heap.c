/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The new code works on a copy that it puts into memory of its own, and reads there what was added to the padding. */
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

static NOINLINE long session_use(unsigned which) {
        struct session *s = sessions[which & 3];
#ifdef NEW
        struct session *own = malloc(sizeof(*own));
        long sum;

        memmove(own, s, sizeof(*own));
        sum = own->locked ? -1 : hash_bytes(own->key, sizeof(own->key));
        free(own);
        s->sum = sum;
        return sum;
#else
        s->uses++;
        s->sum = hash_bytes(s->key, sizeof(s->key));
        return s->sum;
#endif
}

int main(void) {
        for (int i = 0; i < 4; i++)
                sessions[i] = memset(pool_take(sizeof(struct session)), 0, sizeof(struct session));
        for (int i = 0; i < 1000; i++)
                log_line("use", session_use((unsigned)next_input()));
        return 0;
}

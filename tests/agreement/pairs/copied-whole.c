/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The new code works on a copy of a whole element, in which it reads what was added to its padding: no access to
 * the element itself shows the new member. */
struct session {
        long id;
        char state;
#ifdef NEW
        char locked;
#endif
        int uses;
        char key[48];
        long sum;
};
struct table {
        struct session sessions[4];
        unsigned at;
};
static struct table *table;

static NOINLINE long session_use(struct table *t, unsigned which) {
        struct session *s = &t->sessions[which & 3];
#ifdef NEW
        struct session tmp = *s;

        hash_bytes(&tmp, sizeof(tmp));
        if (tmp.locked)
                return -1;
        tmp.uses++;
        tmp.sum = hash_bytes(tmp.key, sizeof(tmp.key));
        *s = tmp;
        return tmp.sum;
#else
        s->uses++;
        s->sum = hash_bytes(s->key, sizeof(s->key));
        return s->sum;
#endif
}

int main(void) {
        table = pool_take(sizeof(*table));
        memset(table, 0, sizeof(*table));
        for (int i = 0; i < 1000; i++)
                log_line("use", session_use(table, (unsigned)next_input()));
        return 0;
}

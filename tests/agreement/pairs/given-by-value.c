/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A function is given an object by value, on the stack, and reads there what was added to its padding. Its callers copy
 * the whole as before. */
struct session {
        long id;
        char state;
#ifdef NEW
        char locked;
#endif
        int uses;
        long sums[4];
};
static struct session *sessions[4];

static NOINLINE long session_sum(struct session s) {
#ifdef NEW
        if (s.locked)
                return -1;
#endif
        return s.id + s.state + s.uses + s.sums[0];
}

int main(void) {
        for (int i = 0; i < 4; i++)
                sessions[i] = memset(pool_take(sizeof(struct session)), 0, sizeof(struct session));
        for (int i = 0; i < 1000; i++)
                log_line("sum", session_sum(*sessions[next_input() & 3]));
        return 0;
}

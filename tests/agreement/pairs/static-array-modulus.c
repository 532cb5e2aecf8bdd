/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Nothing lies behind the array, and only the modulus says how long it is. */
static struct {
        unsigned at;
        long ring[PICK(10, 20)];
} state;

static NOINLINE long turn(long v) {
        long old = state.ring[state.at % PICK(10u, 20u)];

        state.ring[state.at % PICK(10u, 20u)] = v;
        state.at++;
        return old;
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                log_line("turn", turn(next_input()));
        return 0;
}

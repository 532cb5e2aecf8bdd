/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* The code of each state stores numbers of states, so no case of the old build has its like in the new one. */
enum state { START,
#ifdef NEW
        BODY, LENGTH,
#else
        LENGTH, BODY,
#endif
        TRAILER, DRAIN, DONE };

#include "stream.h"

static NOINLINE void stream_step(struct stream *s, long n) {
        switch (s->state) {
        case START:
                s->sum += 330;
                s->state = n % 3 == 0 ? BODY : n % 3 == 1 ? LENGTH : TRAILER;
                break;
        case LENGTH:
                s->sum += 105;
                s->state = n % 3 == 0 ? TRAILER : n % 3 == 1 ? BODY : LENGTH;
                break;
        case BODY:
                s->sum += 152;
                s->state = n % 3 == 0 ? LENGTH : n % 3 == 1 ? DRAIN : BODY;
                break;
        case TRAILER:
                s->sum += 195;
                s->state = n % 3 == 0 ? DRAIN : n % 3 == 1 ? DONE : LENGTH;
                break;
        case DRAIN:
                s->sum += 394;
                s->state = n % 3 == 0 ? DONE : n % 3 == 1 ? START : DRAIN;
                break;
        case DONE:
                s->sum += 134;
                s->state = START;
                break;
        }
}

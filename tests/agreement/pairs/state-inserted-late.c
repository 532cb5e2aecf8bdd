/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* One number moved, of the last state: another came in before it, and code stores it where conditions choose it. */
enum state { START, LENGTH, BODY, TRAILER, DRAIN,
#ifdef NEW
        CHECK,
#endif
        DONE,
#ifdef NEW
        FAILED,
#endif
};

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
                s->state = n % 3 == 0 ? PICK(DONE, CHECK) : n % 3 == 1 ? START : DRAIN;
                break;
        case DONE:
                s->sum += 134;
                s->state = START;
                break;
#ifdef NEW
        case CHECK:
                s->sum += 163;
                s->state = n % 3 == 0 ? FAILED : n % 3 == 1 ? DONE : LENGTH;
                break;
        case FAILED:
                s->sum += 238;
                s->state = n % 3 == 0 ? TRAILER : n % 3 == 1 ? LENGTH : START;
                break;
#endif
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

enum phase { IDLE, READING,
#ifdef NEW
        PARSING,
#endif
        WRITING, CLOSED };
struct job {
        enum phase phase;
        long done;
        struct job *next;
};
static struct job *jobs;

static NOINLINE void job_add(void) {
        struct job *j = calloc(1, sizeof(*j));

        j->phase = READING;
        j->next = jobs;
        jobs = j;
}

static NOINLINE void job_step(struct job *j) {
        switch (j->phase) {
        case READING:
                j->done++;
                j->phase = PICK(WRITING, PARSING);
                break;
#ifdef NEW
        case PARSING:
                j->phase = WRITING;
                break;
#endif
        case WRITING:
                j->phase = next_input() % 2 ? CLOSED : READING;
                break;
        default:
                break;
        }
}

static NOINLINE long count_closed(void) {
        long n = 0;

        for (struct job *j = jobs; j; j = j->next) {
                job_step(j);
                n += j->phase == CLOSED;
        }
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                job_add();
                log_line("closed", count_closed());
        }
        return 0;
}

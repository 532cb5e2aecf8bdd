/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct session {
        struct session *next;
        int id;
#ifdef NEW
        int retries;
#endif
        long last_seen;
        char *name;
};
static struct session *sessions;

static NOINLINE struct session *session_new(int id) {
        struct session *s = malloc(sizeof(*s));

        s->id = id;
        s->last_seen = next_input();
        s->name = strdup("x");
        s->next = sessions;
        sessions = s;
#ifdef NEW
        s->retries = 0;
#endif
        return s;
}

static NOINLINE long session_touch(int id) {
        for (struct session *s = sessions; s; s = s->next) {
                if (s->id != id)
                        continue;
#ifdef NEW
                if (s->retries++ > 3)
                        return -1;
#endif
                s->last_seen = next_input();
                log_line(s->name, s->id);
                return s->last_seen;
        }
        return session_new(id)->last_seen;
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                session_touch((int)next_input() % 50);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct rule {
        PICK(int, short) port;
#ifdef NEW
        short mask;
#endif
        int hits;
        struct rule *next;
};
static struct rule *rules;

static NOINLINE void rule_add(int port) {
        struct rule *r = malloc(sizeof(*r));

        r->port = port;
#ifdef NEW
        r->mask = -1;
#endif
        r->hits = 0;
        r->next = rules;
        rules = r;
}

static NOINLINE int rule_match(int port) {
        for (struct rule *r = rules; r; r = r->next)
#ifdef NEW
                if ((r->port & r->mask) == port)
#else
                if (r->port == port)
#endif
                        return ++r->hits;
        return 0;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                rule_add(i);
                log_line("match", rule_match((int)next_input()));
        }
        return 0;
}

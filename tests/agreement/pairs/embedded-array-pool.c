/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Sizes go through a pool of the program's own. */
struct message {
        unsigned length;
        char body[PICK(56, 120)];
};
static struct message *queue[16];
static unsigned head, tail;

static NOINLINE void push(const char *text) {
        struct message *m = pool_take(sizeof(*m));

        m->length = (unsigned)strlen(text);
        if (m->length > sizeof(m->body))
                m->length = sizeof(m->body);
        memcpy(m->body, text, m->length);
        queue[head++ % 16] = m;
}

static NOINLINE void pop(void) {
        struct message *m = queue[tail++ % 16];

        if (!m)
                return;
        log_line("message", hash_bytes(m->body, m->length));
        pool_give(m, sizeof(*m));
        queue[(tail - 1) % 16] = NULL;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                push("hello");
                pop();
        }
        return 0;
}

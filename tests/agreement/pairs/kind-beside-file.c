/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Numbers that are stored beside the name of the source file look like line numbers, and are kinds of events. */
enum kind { KIND_OPENED = PICK(595, 604), KIND_READ = PICK(612, 621), KIND_CLOSED = PICK(640, 649) };
struct event {
        const char *file, *function;
        enum kind kind;
        struct event *next;
};
static struct event *events;

static NOINLINE void opened(struct event *e) {
        e->file = __FILE__;
        e->function = __func__;
        e->kind = KIND_OPENED;
}

static NOINLINE void was_read(struct event *e) {
        e->file = __FILE__;
        e->function = __func__;
        e->kind = KIND_READ;
}

static NOINLINE void closed(struct event *e) {
        e->file = __FILE__;
        e->function = __func__;
        e->kind = KIND_CLOSED;
}

static NOINLINE int reads(const struct event *e) {
        int n = 0;

        for (; e; e = e->next)
                n += e->kind == KIND_READ;
        return n;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                struct event *e = pool_take(sizeof(*e));

                switch (next_input() % 3) {
                case 0:
                        opened(e);
                        break;
                case 1:
                        was_read(e);
                        break;
                default:
                        closed(e);
                }
                e->next = events;
                events = e;
                log_line("reads", reads(events));
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct task {
#ifdef NEW
        int priority;
        long deadline;
#else
        long deadline;
        int priority;
#endif
        void (*run)(struct task *);
        struct task *next;
};
static struct task *tasks;

static void run_it(struct task *t) {
        log_line("run", t->deadline);
        t->priority--;
}

static NOINLINE void task_add(int priority, long deadline) {
        struct task *t = malloc(sizeof(*t));

        t->priority = priority;
        t->deadline = deadline;
        t->run = run_it;
        t->next = tasks;
        tasks = t;
}

static NOINLINE void tick(long now) {
        for (struct task *t = tasks; t; t = t->next)
                if (t->deadline < now && t->priority > 0)
                        t->run(t);
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                task_add(i % 7, next_input());
                tick(next_input());
        }
        return 0;
}

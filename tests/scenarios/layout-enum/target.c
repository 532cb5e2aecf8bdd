/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

enum State {
        STATE_IDLE,
#if NEW
        STATE_WAITING,
#endif
        STATE_READING,
        STATE_WRITING,
        STATE_CLOSED,
};

struct Task {
        enum State state;
        int work;
        struct Task *peer;
};

static struct Task *tasks[32];
static unsigned moved;

NOINLINE static struct Task *task_new(enum State s) {
        struct Task *t = calloc(1, sizeof(*t));
        t->state = s;
        return t;
}

NOINLINE static void task_step(struct Task *t) {
        moved++;
        if (t->state == STATE_READING)
                t->state = STATE_WRITING;
        else if (t->state == STATE_WRITING)
                t->state = STATE_READING;
        t->work++;
}

NOINLINE static bool task_busy(const struct Task *t) {
        return t->state == STATE_READING || t->state == STATE_WRITING;
}

NOINLINE static void task_close(struct Task *t) {
        t->state = STATE_CLOSED;
}

NOINLINE static bool task_closed(const struct Task *t) {
        return t->state == STATE_CLOSED;
}

void target_start(void) {
        for (int i = 0; i < 32; i++)
                tasks[i] = task_new(i % 4 == 3 ? STATE_CLOSED : i % 4 == 2 ? STATE_WRITING : i % 4 ? STATE_READING : STATE_IDLE);
}

void target_work(void) {
        for (int i = 0; i < 32; i++) {
                task_step(tasks[i]);
                EXPECT_EQ(task_busy(tasks[i]), i % 4 == 1 || i % 4 == 2);
                EXPECT_EQ(task_closed(tasks[i]), i % 4 == 3);
        }
}

void target_check(int version) {
        struct Task *t = task_new(STATE_READING);
        task_step(t);
        EXPECT(task_busy(t));
        task_close(t);
        EXPECT(task_closed(t));
        EXPECT_EQ(t->state, version >= 2 ? 4 : 3);
}

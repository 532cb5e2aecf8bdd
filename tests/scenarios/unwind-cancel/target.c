/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int cleaned, entered;
static int pipes[2];

static void cleanup(void *arg) { __atomic_add_fetch(&cleaned, *(int *)arg, __ATOMIC_RELAXED); }
static void cleanup_attribute(int *v) { __atomic_add_fetch(&cleaned, *v, __ATOMIC_RELAXED); }

NOINLINE static void wait_forever(void) {
        char c;
        __atomic_add_fetch(&entered, 1, __ATOMIC_RELEASE);
        (void)!read(pipes[0], &c, 1);
}

NOINLINE static void holder(void) {
        __attribute__((cleanup(cleanup_attribute))) int mark = PICK(1, 100);
        int other = PICK(10, 1000);
        pthread_cleanup_push(cleanup, &other);
        wait_forever();
        pthread_cleanup_pop(1);
}

static void *body(void *arg) {
        holder();
        return arg;
}

static void run(void) {
        pthread_t t;
        void *r;
        int before = __atomic_load_n(&entered, __ATOMIC_ACQUIRE);
        CALL(-pthread_create(&t, NULL, body, NULL));
        while (__atomic_load_n(&entered, __ATOMIC_ACQUIRE) == before)
                usleep(100);
        CALL(-pthread_cancel(t));
        CALL(-pthread_join(t, &r));
        EXPECT(r == PTHREAD_CANCELED);
}

void target_start(void) {
        CALL(pipe(pipes));
}

void target_work(void) {
        if (harness_turns() % 16 == 0)
                run();
}

void target_check(int version) {
        int before = cleaned;
        run();
        EXPECT_EQ(cleaned - before, version >= 2 ? 1100 : 11);
}

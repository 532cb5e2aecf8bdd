/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>

/* The text before decides where the number lies, and so how much padding the table behind it needs. */
__asm__(".pushsection .rodata\n"
        ".balign 32\n"
        "before: .asciz "
#if NEW
        "\"shorter\""
#else
        "\"a longer text..\""
#endif
        "\n"
        "factor: .quad 1000003\n"
        ".balign 32\n"
        "behind: .long 5, 6, 7, 8\n"
        ".popsection\n");
__attribute__((visibility("hidden"))) extern const char before[];
__attribute__((visibility("hidden"))) extern const long factor;
__attribute__((visibility("hidden"))) extern const int behind[4];

static sem_t asked, answered;
static long value;

/* For good: to replace it would mean to wait in vain for a safe point. */
NOINLINE static void *serve(void *unused) {
        (void)unused;
        for (;;) {
                while (sem_wait(&asked) != 0)
                        ;
                value *= factor;
                sem_post(&answered);
        }
        return NULL;
}

NOINLINE static const char *text(void) {
        return before;
}

NOINLINE static int element(unsigned i) {
        return behind[i % 4];
}

static long times(long v) {
        value = v;
        sem_post(&asked);
        while (sem_wait(&answered) != 0)
                ;
        return value;
}

void target_work(void) {
        EXPECT_EQ(element((unsigned)harness_turns()) / 9, 0);
}

void target_check(int version) {
        static bool started;

        if (!started) {
                pthread_t t;

                started = true;
                sem_init(&asked, 0, 0);
                sem_init(&answered, 0, 0);
                pthread_create(&t, NULL, serve, NULL);
        }
        EXPECT_EQ(times(3), 3000009);
        EXPECT_EQ(strlen(text()), version >= 2 ? 7 : 15);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* Called by the worker, and by others. The new one takes one argument more; with SAME it does not, and somebody
 * calls it who has not changed. */
#if NEW && !defined(SAME)
NOINLINE static long fold(const char *text, long value, long by) {
#else
NOINLINE static long fold(const char *text, long value) {
#endif
        long sum = value;

        for (; *text; text++) {
                sum = sum * 31 + *text;
                if (*text == '/')
                        sum ^= sum >> 9;
                if (*text == '.')
                        sum ^= sum >> 11;
        }
        sum ^= sum >> 7;
#if NEW
#ifdef SAME
        sum += 5;
#else
        sum += by;
#endif
#endif
        return sum;
}

#if NEW && !defined(SAME)
#define FOLD(text) fold(text, 1, *(text) == 1)
#else
#define FOLD(text) fold(text, 1)
#endif

/* asks: read, write; answers: read, write */
static int *pipes;

#if NEW
/* The new worker reads many at once, and is nothing like the old one. */
static void *serve_many(void *p) {
        char words[16][16];
        long sums[16];
        ssize_t n;

        while ((n = read(pipes[0], words, sizeof(words))) > 0) {
                size_t all = (size_t)n / sizeof(words[0]);

                for (size_t i = 0; i < all; i++)
                        sums[i] = FOLD(words[i]);
                if (write(pipes[3], sums, all * sizeof(sums[0])) < 0)
                        break;
        }
        return p;
}

NOINLINE static void begin(pthread_attr_t *attr) {
        pthread_t id;

        pthread_attr_init(attr);
        pthread_attr_setstacksize(attr, 1 << 20);
        if (pthread_create(&id, attr, serve_many, attr) != 0)
                abort();
        pthread_detach(id);
}
#else
static void *serve(void *p) {
        char word[16];

        for (;;) {
                long sum;

                if (read(pipes[0], word, sizeof(word)) != sizeof(word))
                        return p;
                sum = FOLD(word);
                if (write(pipes[3], &sum, sizeof(sum)) != sizeof(sum))
                        return p;
        }
}
#endif

NOINLINE static long ask(const char *text) {
        char word[16] = "";
        long sum = 0;

        strncpy(word, text, sizeof(word) - 1);
        if (write(pipes[1], word, sizeof(word)) != sizeof(word) ||
            read(pipes[2], &sum, sizeof(sum)) != sizeof(sum))
                abort();
        return sum;
}

NOINLINE static long direct(const char *text) {
        return FOLD(text);
}

void target_start(void) {
        pipes = calloc(4, sizeof(*pipes));
        if (pipe(pipes) != 0 || pipe(pipes + 2) != 0)
                abort();
#if NEW
        static pthread_attr_t attr;

        begin(&attr);
#else
        pthread_t id;

        if (pthread_create(&id, NULL, serve, NULL) != 0)
                abort();
#endif
}

/* With SAME, the switch may fall between the two calls. */
void target_work(void) {
        long asked = ask("abc"), called = direct("abc");

#ifdef SAME
        if (labs(asked - called) == 5)
                return;
#endif
        EXPECT_EQ(asked, called);
}

void target_check(int version) {
        EXPECT_EQ(ask("hello"), direct("hello"));
#ifdef SAME
        EXPECT_EQ(direct(""), 1 + (version >= 2 ? 5 : 0));
#else
        (void)version;
#endif
}

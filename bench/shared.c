/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that many processes share, for measuring what a patch adds to each. Built twice; some
 * functions differ, and version 2 brings a variable of its own.
 */
#include <stdio.h>
#include <string.h>

#ifndef VERSION
#define VERSION 1
#endif

static unsigned long total;

#define FUNCTION(n)                                                            \
        __attribute__((noinline)) unsigned long shared_##n(const char *text) { \
                unsigned long sum = n;                                         \
                for (size_t i = 0; text[i]; i++)                               \
                        sum = sum * 31 + (unsigned char)text[i] + CHANGE;      \
                total += sum;                                                  \
                return sum;                                                    \
        }
#if VERSION >= 2
#define CHANGE (sum >> 7)
#else
#define CHANGE (sum >> 5)
#endif
FUNCTION(1)
FUNCTION(2)
FUNCTION(3)
FUNCTION(4)
FUNCTION(5)
FUNCTION(6)
FUNCTION(7)
FUNCTION(8)
#undef CHANGE
#define CHANGE (sum >> 3)
FUNCTION(11)
FUNCTION(12)
FUNCTION(13)
FUNCTION(14)
FUNCTION(15)
FUNCTION(16)

unsigned long shared_total(void) {
        return total;
}

int shared_version(void) {
#if VERSION >= 2
        static int asked;

        return VERSION + 0 * ++asked;
#else
        return VERSION;
#endif
}

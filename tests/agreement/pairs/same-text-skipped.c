/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A new function goes along a text that the old code goes along, too, and what it came to is read. */
struct header {
        struct header *next;
        char *value;
        int words;
};
static struct header *headers;

static NOINLINE void header_add(long n) {
        struct header *h = calloc(1, sizeof(*h));
        char text[32];

        snprintf(text, sizeof(text), "%s%ld %ld", n % 5 ? "" : "  ", n % 100, n % 7);
        h->value = strdup(text);
        h->next = headers;
        headers = h;
}

#ifdef NEW
static NOINLINE char *skip_spaces(char *s) {
        while (*s == ' ' || *s == '\t')
                s++;
        return s;
}
#endif

static NOINLINE int header_words(struct header *h) {
        char *s = h->value;
        int n = 1;

#ifdef NEW
        s = skip_spaces(s);
        if (!*s)
                return 0;
#endif
        do
                n += *s == ' ';
        while (*s++);
        h->words = n;
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                header_add(next_input());
                log_line("words", header_words(headers));
        }
        return 0;
}

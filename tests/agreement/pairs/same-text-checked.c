/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"
#include <ctype.h>

/* Checks of text that the C library looks at, too, and a message that was not there before. */
struct option {
        struct option *next;
        char *text;
        long value;
};
static struct option *options;

static NOINLINE void option_add(long n) {
        struct option *o = malloc(sizeof(*o));
        char text[32];

        snprintf(text, sizeof(text), "%ld%s", n, n % 3 ? "" : "k");
        o->text = strdup(text);
        o->value = 0;
        o->next = options;
        options = o;
}

static NOINLINE int option_read(struct option *o) {
        char *end;

        if (strcmp(o->text, "-") == 0)
                return -1;
        o->value = strtol(o->text, &end, 10);
#ifdef NEW
        if (*end) {
                fputs("not a number\n", stderr);
                return -1;
        }
        if (o->text[1] && !isdigit((unsigned char)o->text[1]))
                return -1;
#endif
        return 0;
}

int main(void) {
        setvbuf(stderr, NULL, _IOFBF, 65536);
        for (int i = 0; i < 100; i++) {
                option_add(next_input());
                log_line("read", option_read(options));
        }
        return 0;
}

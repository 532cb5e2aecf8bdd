/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A flag before a text is gone, and the text begins in its place. To ask the flag and then measure the text is
 * what compilers make of a walk over a text from its first byte on. */
struct label {
#ifndef NEW
        char set;
#endif
        char text[PICK(31, 32)];
        struct label *next;
};
static struct label *labels;

static NOINLINE void label_add(long n) {
        struct label *l = pool_take(sizeof(*l));

        memset(l, 0, sizeof(*l));
#ifndef NEW
        l->set = n % 2;
#endif
        snprintf(l->text, sizeof(l->text), "label %ld", n);
        l->next = labels;
        labels = l;
}

static NOINLINE int label_mark(const struct label *l) {
#ifdef NEW
        unsigned n = 0;

        while (n < 20 && l->text[n])
                n++;
        return l->text[n + 1];
#else
        size_t n = l->set ? strlen(l->text) + 1 : 0;

        return (&l->set)[n + 1];
#endif
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                label_add(next_input());
                for (struct label *l = labels; l; l = l->next)
                        log_line("mark", label_mark(l));
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct value {
        struct value *next;
        int kind;
        union {
                long number;
#ifdef NEW
                struct {
                        short a, b, c;
                } triple;
#endif
        } u;
};
static struct value *values;

static NOINLINE void value_add(int kind, long n) {
        struct value *v = malloc(sizeof(*v));

        v->kind = kind;
        v->u.number = n;
        v->next = values;
        values = v;
}

static NOINLINE long sum(void) {
        long n = 0;

        for (struct value *v = values; v; v = v->next)
#ifdef NEW
                n += v->kind ? v->u.triple.b + v->u.triple.c : v->u.number;
#else
                n += v->u.number;
#endif
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                value_add(i & 1, next_input());
                log_line("sum", sum());
        }
        return 0;
}

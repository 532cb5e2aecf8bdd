/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct value {
        struct value *next;
        int kind;
        PICK(union, struct) {
                long number;
                double real;
        } u;
};
static struct value *values;

static NOINLINE void value_add(int kind, long n) {
        struct value *v = malloc(sizeof(*v));

        v->kind = kind;
        if (kind)
                v->u.real = (double)n / 2;
        else
                v->u.number = n;
        v->next = values;
        values = v;
}

static NOINLINE long sum(void) {
        long n = 0;

        for (struct value *v = values; v; v = v->next)
                n += v->kind ? (long)v->u.real : v->u.number;
        return n;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                value_add(i & 1, next_input());
                log_line("sum", sum());
        }
        return 0;
}

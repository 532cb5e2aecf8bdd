/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Same offset, same size of the whole: only the width of the accesses differs. */
struct account {
        PICK(int, long) balance;
        long limit;
        struct account *next;
};
static struct account *accounts;

static NOINLINE struct account *open_account(long limit) {
        struct account *a = malloc(sizeof(*a));

        a->balance = 0;
        a->limit = limit;
        a->next = accounts;
        return accounts = a;
}

static NOINLINE long pay(long n) {
        long sum = 0;

        for (struct account *a = accounts; a; a = a->next) {
                if (a->balance + n > a->limit)
                        continue;
                a->balance += n;
                sum += a->balance;
        }
        return sum;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                open_account(next_input());
                log_line("sum", pay(i));
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "book.h"
Book::Book(long n) : pages(n), kind((int)(n % 7)), lent((int)(n % 5)) {}
int Book::weight() const {
        return kind * 10;
}
void Book::lend(const int *to) {
        lent += *to;
}
long Book::open(long at) {
        long n = pages + at;
        if (VERSION >= 2)
                n += 1000 * kind + 100000 * lent;
        return n;
}

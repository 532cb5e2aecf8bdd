/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
struct Book {
        long pages;
        int kind, lent;
        explicit Book(long pages);
        int weight() const;
        void lend(const int *to);
        long open(long at);
};

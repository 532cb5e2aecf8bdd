/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "book.h"
static Book *book;
void target_start(void) {
        book = new Book(17);
}
void target_work(void) {
        int none = 0;
        book->lend(&none);
        EXPECT(book->open(1) == 18 || book->open(1) == 203018);
}
void target_check(int version) {
        EXPECT_EQ(book->weight(), 30);
        EXPECT_EQ(book->open(3), version >= 2 ? 203020 : 20);
}

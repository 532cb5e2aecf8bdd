/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "book.h"
#include <new>
static long room[8];
static Book *book;
void target_start(void) {
        Shelf shelf = { 4, 9 };
        Cover cover = { 3, 2 };
        book = new (room) Book(17);
        EXPECT_EQ(shelf.left(), 5);
        EXPECT_EQ(Book::paint(&cover), 5);
        EXPECT_EQ(Book::paint(&cover, 1), 6);
}
void target_check(int version) {
        long n = book->open(3);
        if (version >= 2 && n != 4020)
                puts("WRONG HOTPATCH: old objects have no mark");
        EXPECT_EQ(n, version >= 2 ? 4020 : 20);
}

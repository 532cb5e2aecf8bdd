/* SPDX-License-Identifier: Apache-2.0 */
#include "book.h"
Book::Book(long n) {
        for (int i = 0; i < 8; i++)
                title[i] = (char)(n + i);
#if VERSION >= 2
        mark = 4;
#endif
}
int Shelf::left() const {
        return room - (int)length;
}
int Book::paint(const Cover *cover) {
        return cover->colour + (int)cover->width;
}
int Book::paint(const Cover *cover, int more) {
        return cover->colour + (int)cover->width + more;
}
long Book::open(long at) const {
        long n = title[0] + at;
#if VERSION >= 2
        n += 1000 * mark;
#endif
        return n;
}

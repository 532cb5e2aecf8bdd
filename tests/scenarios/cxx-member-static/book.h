/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
struct Cover {
        long width;
        int colour;
};
struct Shelf {
        long length;
        int room;
        int left() const;
};
struct Book {
        char title[8];
#ifdef VERSION
#if VERSION >= 2
        int mark;
#endif
#endif
        static int paint(const Cover *cover);
        static int paint(const Cover *cover, int more);
        explicit Book(long pages);
        long open(long at) const;
};

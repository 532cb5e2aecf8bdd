/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int (*compare)(const void *, const void *);
static long (**handlers)(long);
static unsigned compares;

NOINLINE static int by_value(const void *a, const void *b) {
        const int *x = a, *y = b;
        compares++;
        return PICK(1, -1) * ((*x > *y) - (*x < *y));
}

NOINLINE static long handle(long v) {
        return v + PICK(10, 20);
}

NOINLINE static void sort(int *v, size_t n) {
        qsort(v, n, sizeof(*v), compare);
}

void target_start(void) {
        compare = by_value;
        handlers = calloc(4, sizeof(*handlers));
        for (int i = 0; i < 4; i++)
                handlers[i] = handle;
}

void target_work(void) {
        int v[16];
        for (int i = 0; i < 16; i++)
                v[i] = (int)((harness_turns() * 7 + i * 5) % 16);
        sort(v, 16);
}

void target_check(int version) {
        int v[6] = { 3, 1, 2, 6, 5, 4 };
        unsigned before = compares;
        sort(v, 6);
        EXPECT_EQ(v[0] * 10 + v[5], version >= 2 ? 61 : 16);
        EXPECT(compares > before);
        EXPECT_EQ(handlers[3](1), version >= 2 ? 21 : 11);
}

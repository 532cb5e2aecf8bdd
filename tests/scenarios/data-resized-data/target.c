/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static int table[] = { 1, 2, 3, 4, 5, 6, 7, 8,
#if NEW
        9, 10, 11, 12,
#endif
};
#define COUNT (sizeof(table) / sizeof(*table))

NOINLINE static int table_sum(void) {
        int s = 0;
        for (size_t i = 0; i < COUNT; i++)
                s += table[i];
        return s;
}

NOINLINE static void table_scale(int m) {
        for (size_t i = 0; i < COUNT; i++)
                table[i] *= m;
}

void target_work(void) {
        table_scale(-1);
        table_scale(-1);
}

void target_check(int version) {
        EXPECT_EQ(table_sum(), version >= 2 ? 78 : 36);
}
